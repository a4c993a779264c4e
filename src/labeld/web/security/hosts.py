"""Validation of the Host header.

A page whose own name is made to point at this machine (DNS rebinding) cannot choose another Host, so a name that is not
ours is refused before anything else, on every route (contract section 7, decision 9).
"""

import re
import socket
from functools import lru_cache
from ipaddress import ip_address

from labeld.auth.errors import BadHostError, ForeignHostError
from labeld.config.settings import Settings
from labeld.errors import SettingsError

KNOWN_HOSTS, HOST_CHARACTERS = 256, 255
"""Spellings of our names that are cached, so that the check costs nothing, and the characters of one, at most."""

HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{0,5}))?", re.ASCII | re.IGNORECASE)
"""A host, with or without a port."""
DEFAULT_PORTS = {"http": "80", "https": "443"}


class Hosts:
    """The names: localhost, IP addresses, those of the settings, and the machine's own where others can reach it."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when a host of the settings is none."""
        listen, named = settings.listen, settings.sites.hosts
        for name in named:
            if not _is_name(name.removeprefix(".")):
                raise SettingsError(
                    f"hosts has {name!r}, but must have names like labeld.example.org, or .example.org for it and all "
                    "below it, without a port."
                )
        names = {"localhost", listen.host, *named}
        if not listen.is_loopback:
            names |= {socket.gethostname(), socket.gethostname().partition(".")[0]}
        lowered = {name.lower().rstrip(".") for name in names}
        self._domains = tuple(name for name in lowered if name.startswith("."))
        self._names = {name.removeprefix(".") for name in lowered}
        self.require_ours = lru_cache(KNOWN_HOSTS)(self._find)  # NOTE: an exception is not cached
        """Raises BadHostError or ForeignHostError when the value of a Host header is not one of the names."""

    def _find(self, host: str) -> None:
        found = HOST.fullmatch(host) if len(host) <= HOST_CHARACTERS else None
        if found is None or (found["port"] and int(found["port"]) > 65535):
            raise BadHostError
        name = found["name"].lower().removesuffix(".")
        # NOTE: an IP address cannot be made to mean another machine, as a name can (DNS rebinding)
        if name not in self._names and not name.endswith(self._domains) and not is_address(name.strip("[]")):
            raise ForeignHostError(name)


def is_address(host: str) -> bool:
    """True for an IP address, an IPv6 one without brackets."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    found = HOST.fullmatch(host)
    return found is not None and found["port"] is None and not host.startswith(("[", "."))
