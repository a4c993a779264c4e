"""The rules for addresses that may be contacted on behalf of a Hub."""

import socket
from ipaddress import IPv6Address, ip_address
from urllib.parse import urljoin, urlsplit

from labeld.errors import SettingsError


def redirected(endpoint: str, url: str, location: str) -> str | None:
    """The target of a redirect from `url`, or None when it may not be followed.

    It may to the endpoint itself, and to another host by https: from a public endpoint only to a public one, while a
    private mirror may have its files beside it.
    """
    try:
        target = urljoin(url, location)
        if origin(target) == origin(endpoint):
            return target
        scheme, host, _ = origin(target)
    except ValueError:
        return None
    allowed = scheme == "https" and host and (_is_public(host) or not _is_public(origin(endpoint)[1]))
    return target if allowed else None


def require_other_address(endpoint: str, host: str, port: int) -> None:
    """Raises SettingsError when the endpoint is where this server listens: it would ask itself without end.

    Port 0 needs no look: a port that is free is not where a Hub listens.
    """
    its_host, its_port = origin(endpoint)[1:]
    if its_port != port:
        return
    for address in _addresses(its_host):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, 0))  # possible for addresses of this machine only
            except OSError:
                continue
        raise SettingsError(f"hf_endpoint is {endpoint}, which is where this server listens ({host}, port {port}).")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL. Raises ValueError for anything else."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def _is_public(host: str) -> bool:
    """True when no address of this host is private, or when it is unknown here, since a proxy may know it."""
    addresses = [ip_address(address) for address in _addresses(host)]
    unmapped = (one.ipv4_mapped or one if isinstance(one, IPv6Address) else one for one in addresses)
    return all(one.is_global for one in unmapped)


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()
