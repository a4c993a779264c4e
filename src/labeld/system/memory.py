"""The memory of this process: how much it may use, how much it uses, and how to return freed memory."""

import ctypes
import errno
import gc
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

CONTROL_GROUPS = Path("/sys/fs/cgroup")
LARGE_BLOCK = 1024 * 1024
"""Bytes from which on glibc maps a block by itself."""

ARENAS = 2
"""Heaps of glibc, at most; by default it makes one for almost every thread, and keeps them."""
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
EXHAUSTED = (os.strerror(errno.ENOMEM), "failed to map segment", "can't start new thread")
"""What libraries, dlopen and Python say of it."""
_libc = ctypes.CDLL(None)


def available() -> int:
    """Bytes that this process may use: the machine's available memory now, or its control group's limit if less."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    sizes = dict(line.split(":") for line in lines)
    return min([int(sizes["MemAvailable"].split()[0]) * 1024, *_limits(CONTROL_GROUPS, Path("/proc/self/cgroup"))])


def used(process: int | Literal["self"] = "self") -> int:
    """Bytes of a process's resident memory without the pages of mapped files, which the system can drop."""
    resident, shared = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1:3]
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def is_exhausted(error: BaseException) -> bool:
    """True when this error, or a cause of it, means that this process may not have more memory.

    A thread that cannot start has no memory for its stack, unless a limit of processes keeps it out.
    """
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, MemoryError) or (isinstance(one, OSError) and one.errno == errno.ENOMEM):
            return True
        if any(words in str(one) for words in EXHAUSTED):
            return True
        one = one.__cause__ or one.__context__
    return False


def map_large_blocks() -> None:
    """Makes glibc map each large block by itself, so that freeing it returns it to the system immediately.

    By default glibc raises the threshold when large blocks are freed, and later keeps some of them: see
    decision 5. Other C libraries have no such call, and nothing happens.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def limit_arenas() -> None:
    """Limits glibc to `ARENAS` heaps; call it before threads start."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, ARENAS)


def trim_heap() -> None:
    """Returns the freed memory of smaller blocks to the system."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def collect_and_trim() -> None:
    """Runs the garbage collector and returns freed memory to the system; takes tens of milliseconds."""
    gc.collect()
    trim_heap()


def _limits(root: Path, membership: Path) -> Iterator[int]:
    """The memory limits of the control groups that this process is in (v2 and v1), and of those around them.

    There are none where no group limits memory, as usual outside of containers, and in a kernel without such groups.
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mount, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                yield from _limit(folder / name)


def _limit(path: Path) -> Iterator[int]:
    """The number in this file; nothing where there is no limit, or no file: a container may see only its own group."""
    try:
        yield int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
