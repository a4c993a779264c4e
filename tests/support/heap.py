"""What is in use of the C library's heap, which no fragmentation changes."""

import ctypes

import pytest

_FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Mallinfo2(ctypes.Structure):
    """Of malloc.h: `uordblks` are the bytes of all blocks in use, `hblkhd` those of blocks mapped by themselves."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS.split())


def in_use() -> int:
    """Bytes in use by this process's C heap; skips where the library is not glibc."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("only glibc from 2.33 on tells")
    library.mallinfo2.restype = _Mallinfo2
    found = library.mallinfo2()
    return int(found.uordblks + found.hblkhd)
