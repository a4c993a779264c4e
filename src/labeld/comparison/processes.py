"""Processes of this machine: who listens on a port, and the memory of a process with all that it has started."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp."""


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """A process that listens on a port, with those that it has started."""

    pid: int
    name: str
    """Its command's name."""
    memory: int | None
    """Bytes of all of them, of shared pages each its share; None where the system does not show them."""
    cores: int
    """Cores on which it may run."""


def listening_process(port: int) -> SeenProcess | None:
    """The process that listens on this TCP port of this machine; None where it cannot be seen, as another user's."""
    sockets = set(_listening_sockets(port))
    holders = sorted(pid for pid in _pids() if sockets & set(_sockets(pid))) if sockets else []
    return seen_process(holders[0], holders) if holders else None


def seen_process(pid: int, others: Iterable[int] = ()) -> SeenProcess | None:
    """A process, with the memory of `others` too; None where it is gone."""
    try:
        name = (PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
        cores = len(os.sched_getaffinity(pid))
    except OSError:
        return None
    return SeenProcess(pid, name, _memory({pid, *others}), cores)


def own_memory() -> int:
    """Bytes of this process, of shared pages its share."""
    return _proportional(os.getpid()) or 0


def _memory(roots: set[int]) -> int | None:
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid))}
    family = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    sizes = [_proportional(pid) for pid in family]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _proportional(pid: int) -> int | None:
    """Proportional set size in bytes; None where it cannot be read."""
    with suppress(OSError, StopIteration, ValueError):
        lines = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return None


def _listening_sockets(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on this port."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _sockets(pid: int) -> Iterator[str]:
    """Inodes of the sockets that a process holds; none where it is another user's."""
    with suppress(OSError):
        for path in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = str(path.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _pids() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdecimal()]


def _parent(pid: int) -> int | None:
    with suppress(OSError, IndexError, ValueError):
        return int(
            (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        )
    return None
