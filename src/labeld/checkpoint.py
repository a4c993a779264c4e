"""Weights on disk -> arrays, without executing or copying anything.

A file is mapped copy-on-write: OpenVINO borrows the arrays (it refuses read-only ones), and `release` gives the pages
back once the engine has made its own layout of them. The file is read again when it is needed, so a served file must
only ever be replaced by rename, never rewritten in place.
"""

import json
import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeld.errors import FolderError

FloatArray = NDArray[np.float32]

DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F64": np.dtype("<f8"),
}
"""Storage types that are read, by their safetensors names; NOTE: NumPy has no bfloat16, so its bits are read."""

HEADER_LIMIT = 100_000_000
"""Bytes of JSON header, at most (the safetensors format's own limit)."""


class Checkpoint:
    """The tensors of one safetensors file, by name.

    Raises FolderError, naming the file, when the header does not describe the file: cut off, overlapping, misshapen.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.name
        self._taken: set[str] = set()
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except FileNotFoundError:
            raise FolderError(f"{self._file} is missing.") from None
        except (OSError, ValueError):
            raise FolderError(f"{self._file} cannot be read, or is empty.") from None
        self._start, self._entries = self._read_header()

    def take(self, name: str, *shape: int) -> FloatArray:
        """The tensor as float32, of exactly this shape; a view of the mapped file where it is stored as float32.

        Raises FolderError naming the tensor if it is missing or misshapen.
        """
        if name not in self._entries:
            raise FolderError(f"{self._file} has no tensor {name}.")
        dtype, stored, begin, end = self._entries[name]
        if stored != shape:
            raise FolderError(f"{self._file}: tensor {name} has shape {list(stored)}, but {list(shape)} is needed.")
        self._taken.add(name)
        raw = np.frombuffer(self._map, DTYPES[dtype], (end - begin) // DTYPES[dtype].itemsize, self._start + begin)
        if dtype == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        result: FloatArray = np.require(raw.reshape(shape), np.float32, "A")
        return result

    def unused(self) -> list[str]:
        """Names of the tensors that nobody took."""
        return sorted(set(self._entries) - self._taken)

    def release(self) -> None:
        """Gives the file's resident pages back to the system; a later read brings them back from disk."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def _read_header(self) -> tuple[int, dict[str, tuple[str, tuple[int, ...], int, int]]]:
        """Where the data begins, and each tensor's dtype, shape, begin and end."""
        size = int.from_bytes(self._map[:8], "little")
        start = 8 + size
        if len(self._map) < 8 or size > HEADER_LIMIT or start > len(self._map):
            raise FolderError(f"{self._file} is not a safetensors file, or its header is cut off.")
        try:
            header = json.loads(self._map[8:start])
            entries = dict(_entries(header))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise FolderError(f"{self._file} has a header that is not the JSON of a safetensors file.") from None
        at = 0
        for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda entry: entry[1][2:]):
            size_known = dtype in DTYPES
            if begin != at or (size_known and end - begin != math.prod(shape) * DTYPES[dtype].itemsize):
                raise FolderError(f"{self._file}: the header does not fit tensor {name}.")
            at = end
        if at != len(self._map) - start:
            raise FolderError(f"{self._file} is {len(self._map) - start} bytes of tensors, but its header says {at}.")
        return start, {name: entry for name, entry in entries.items() if entry[0] in DTYPES}


def _entries(header: dict[str, Any]) -> Iterator[tuple[str, tuple[str, tuple[int, ...], int, int]]]:
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
            raise ValueError(name)
        yield name, (str(entry["dtype"]), shape, begin, end)
