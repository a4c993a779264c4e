"""The memory of this process: how much it uses, and giving back what it does not."""

import ctypes
import mmap
from pathlib import Path

_libc = ctypes.CDLL(None)


def used() -> int:
    """Bytes of this process that no file could give back: resident without the pages of mapped files."""
    resident, shared = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def give_back() -> None:
    """Returns to the system what was freed; glibc would keep most of it."""
    trim = getattr(_libc, "malloc_trim", None)  # glibc only
    if trim:
        trim(0)
