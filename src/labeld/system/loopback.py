"""Loopback addresses."""


def is_loopback(address: str) -> bool:
    """True when a peer with this address is on this machine; the empty address is that of a Unix socket."""
    return address in {"", "::1"} or address.startswith(("127.", "::ffff:127."))
