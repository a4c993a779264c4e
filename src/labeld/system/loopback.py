"""Whether a peer is on this machine."""


def is_loopback(address: str) -> bool:
    """Whether a peer with this address is on this machine; the empty address is that of a unix socket."""
    return address in {"", "::1"} or address.startswith(("127.", "::ffff:127."))
