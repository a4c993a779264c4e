"""A control group of the kernel that limits the memory of the processes in it, where this user may make one."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from labeld.system.memory import CONTROL_GROUPS


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A group of its own, of version 1 or 2."""

    folder: Path

    @property
    def _is_first(self) -> bool:
        return (self.folder / "memory.limit_in_bytes").exists()

    def enter(self) -> None:
        """Puts the calling process, and all that it starts from now on, into the group."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def limit(self, count: int) -> None:
        """No more bytes than this, pages of files included, which the kernel drops first."""
        (self.folder / ("memory.limit_in_bytes" if self._is_first else "memory.max")).write_text(str(count))

    def used(self) -> int:
        """Bytes that no file could give back."""
        name = "rss" if self._is_first else "anon"
        found = re.search(rf"^{name} (\d+)$", (self.folder / "memory.stat").read_text(encoding="ascii"), re.MULTILINE)
        return int(found[1]) if found else 0


@contextmanager
def memory_group() -> Iterator[MemoryGroup | None]:
    """A new group, without a limit yet; None where none can be made. It must be empty at the end."""
    group = next((MemoryGroup(folder) for folder in _folders() if _made(folder)), None)
    try:
        yield group
    finally:
        if group is not None:
            group.folder.rmdir()


def _folders() -> Iterator[Path]:
    """Where a group could be: below our own in version 1, and beside it in version 2, whose processes are in leaves."""
    name = f"labeld-reliability-{os.getpid()}"
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            yield CONTROL_GROUPS / "memory" / path.lstrip("/") / name
        elif not controllers:
            yield (CONTROL_GROUPS / path.lstrip("/")).parent / name


def _made(folder: Path) -> bool:
    if not folder.is_relative_to(CONTROL_GROUPS):
        return False
    with suppress(OSError):
        folder.mkdir()
        if any((folder / name).exists() for name in ("memory.limit_in_bytes", "memory.max")):
            return True
        folder.rmdir()
    return False
