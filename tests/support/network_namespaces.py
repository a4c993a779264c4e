"""Network namespaces that are joined by a bridge: machines whose cables can be pulled. Needs root and `ip`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HERE = "10.77.0.254"
"""Our own address on the bridge."""


@dataclass
class Namespaces:
    """Namespaces, each with one address."""

    addresses: list[str]
    prefix: str

    def inside(self, address: str) -> tuple[str, ...]:
        """The command with which a process is started in the namespace of an address."""
        return ("ip", "netns", "exec", self._name(address))

    def cable(self, address: str, *, plugged: bool) -> None:
        """Pulls the cable of a namespace, or plugs it in again."""
        _ip("link", "set", self._name(address), "up" if plugged else "down")

    def _name(self, address: str) -> str:
        return f"{self.prefix}{self.addresses.index(address)}"


def possible() -> bool:
    """Whether this process may make namespaces."""
    return os.getuid() == 0 and shutil.which("ip") is not None


@contextmanager
def namespaces(count: int) -> Iterator[Namespaces]:
    """So many namespaces, which are gone at the end."""
    made = Namespaces([f"10.77.0.{index + 1}" for index in range(count)], f"lb{os.getpid() % 100000}n")
    bridge = f"{made.prefix}b"
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for index, address in enumerate(made.addresses):
            name = f"{made.prefix}{index}"
            _ip("netns", "add", name)
            _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", name, "master", bridge, "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        yield made
    finally:
        for index in range(count):
            _ip("netns", "del", f"{made.prefix}{index}", check=False)
        _ip("link", "del", bridge, check=False)


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=not check)
