"""Weight files in memory: mapped copy-on-write, and tensors as views into the mapping.

Knows no file format. OpenVINO borrows the arrays (it refuses read-only ones), and `release` gives the pages back once
the engine has made its own layout of them. The file is read again when it is needed, at any batch: one that somebody
may cut off or write over is copied first (`own_copy`).
"""

import json
import math
import mmap
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from labeld.checkpoint.own_copy import own_copy
from labeld.checkpoint.plain_file import open_plain
from labeld.errors import FolderError

FloatArray = NDArray[np.float32]
WeightArray = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]
"""A weight in its storage type; uint16 holds the bits of bfloat16."""

FLOATS: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "float64": np.dtype("<f8"),
}
"""Storage types that weights can have. NOTE: NumPy has no bfloat16, so its bits are read."""

MAX_AXES = 8
"""Axes of a tensor, at most; text classifiers have two."""

LARGEST_NUMBER = 2**63
"""Sizes, strides and offsets must be below this, as in both formats."""

LFS_POINTER = b"version https://git-lfs"


class MappedFile:
    """One mapped weight file, of which only pages that are read become resident.

    Raises FolderError naming the file when it is missing, no plain file, empty, or a Git LFS pointer.
    """

    def __init__(self, path: Path, copies: Path | None = None) -> None:
        """With `copies`, a folder, it is a copy there that is mapped, of a file that changes no more."""
        self.name = path.name
        with open_plain(path) as file:
            if os.fstat(file.fileno()).st_size == 0:
                self.refuse("is empty")
            try:
                with nullcontext(file) if copies is None else own_copy(file, self.name, copies) as mapped:
                    self.data = mmap.mmap(mapped.fileno(), 0, access=mmap.ACCESS_COPY)
            except OSError as error:
                self.refuse(f"cannot be read: {error.strerror}")
        if self.data[: len(LFS_POINTER)] == LFS_POINTER:
            self.refuse("is a Git LFS pointer instead of the weights: fetch it with git lfs pull")

    def __len__(self) -> int:
        return len(self.data)

    def refuse(self, what: str) -> Never:
        """Raises FolderError: the file's name, and what is wrong with it."""
        raise FolderError(f"{self.name} {what}.") from None

    def release(self) -> None:
        """Gives the file's resident pages back to the system; a later read brings them back from disk."""
        self.data.madvise(mmap.MADV_DONTNEED)

    def release_range(self, begin: int, end: int) -> None:
        """Gives back the resident pages that lie wholly within these bytes."""
        first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last:
            self.data.madvise(mmap.MADV_DONTNEED, first, last - first)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies in its file. Whoever makes one has checked that it lies inside."""

    file: MappedFile
    dtype: str
    """A name of NumPy, or bfloat16."""
    shape: tuple[int, ...]
    begin: int
    """Byte at which the first element lies."""
    strides: tuple[int, ...] | None = None
    """Elements from one entry to the next along each axis; None where they are in the order of the shape."""

    def as_float32(self) -> FloatArray:
        """Float32 of this shape: a view of the mapping where it is stored as such, else an array of its own.

        NOTE: a view may begin at any byte, since the legacy torch format aligns nothing. OpenVINO reads those as well.
        """
        stored = FLOATS[self.dtype]
        count = math.prod(self.shape)
        reach = count if self.strides is None else span(self.shape, self.strides)
        flat = np.frombuffer(self.file.data, stored, reach, self.begin) if reach else np.zeros(0, stored)
        if self.strides is None:
            raw = flat.reshape(self.shape)
        else:
            steps = [step * stored.itemsize for step in self.strides]
            raw = np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)
        if self.dtype == "float32" and self.strides is None:
            return raw
        result = raw.copy() if self.dtype == "float32" else widen(raw)
        self.file.release_range(self.begin, self.begin + reach * stored.itemsize)
        return result

    def as_stored(self) -> WeightArray:
        """This shape as it is stored: a view of the mapping for 16-bit types too; of bfloat16 the bits, as uint16."""
        if self.dtype not in ("float16", "bfloat16") or self.strides is not None:
            return self.as_float32()
        return np.frombuffer(self.file.data, FLOATS[self.dtype], math.prod(self.shape), self.begin).reshape(self.shape)


def widen(array: WeightArray) -> FloatArray:
    """The numbers as float32 in C order, without a copy where they are that already; uint16 are bits of bfloat16."""
    if array.dtype != np.uint16:
        return array.astype(np.float32, order="C", copy=False)
    bits = array.astype(np.uint32, order="C")
    bits <<= 16
    return bits.view(np.float32)


def span(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Elements from the first to the last of a strided tensor, both counted; 0 if there are none."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))


def in_order(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor whose elements lie in the order of its shape."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def all_counts(*numel: object) -> bool:
    """True when all are whole numbers from 0 on that fit into 63 bits."""
    return all(type(number) is int and 0 <= number < LARGEST_NUMBER for number in numel)


def shown(name: object) -> str:
    """A name from a file, cut and escaped for a sentence."""
    text = str(name) if isinstance(name, str | int) else type(name).__name__
    return text if text.isprintable() and len(text) <= 100 else ascii(text[:60])


def parse_object(text: bytes) -> dict[str, Any]:
    """The JSON object that `text` is; raises ValueError when it is none, or has a key twice."""
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004  # all of these mean the same to the caller
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found
