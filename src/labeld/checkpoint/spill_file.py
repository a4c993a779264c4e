"""An unlinked temporary file for copies of weights: unlike anonymous memory, its pages can be dropped.

OpenVINO keeps what it is given beside its own layout of it, to make other layouts later. Of a file in float32 that is
the mapped file, whose pages go; of one in 16 bits it is a widened copy, which made a model take twice its size; and
in int8 the rounded matrices, a quarter of what it took.
"""

import mmap
import tempfile
import weakref
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labeld.checkpoint.mapped_file import FloatArray

Kept = TypeVar("Kept", FloatArray, NDArray[np.int8])


class SpillFile:
    """Arrays on disk for the lifetime of this object. Raises OSError when the folder is full or cannot be written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._maps: list[mmap.mmap] = []
        self._end = 0

    def keep(self, array: Kept) -> Kept:
        """A copy that lies in the file; written to it would only be pages of this process."""
        begin = -(-self._end // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        self._file.seek(begin)
        self._file.write(array.data)
        self._file.flush()
        self._end = begin + array.nbytes
        mapped = mmap.mmap(self._file.fileno(), array.nbytes, access=mmap.ACCESS_COPY, offset=begin)
        self._maps.append(mapped)
        return np.frombuffer(mapped, array.dtype).reshape(array.shape)

    def release(self) -> None:
        """Gives the resident pages back to the system; a later read brings them back from disk."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)
