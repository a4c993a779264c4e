"""Bytes of files, decompressed, and the failures of reading them as sentences."""

import io
import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from labeld.files.arrow import pa
from labeld.files.beginning import require_packed
from labeld.files.errors import FileError
from labeld.files.formats import STANDARD_INPUT, Compression

LONGEST_ROW = 16 << 20
"""Bytes of the longest row of a csv or jsonl file that is read."""
BUFFER = 1 << 20
POLL = 100
"""Milliseconds after which a read of a pipe looks whether it is to end."""


def is_read_once(path: str) -> bool:
    """Whether it is standard input or another pipe, of which nobody can say what was read before."""
    return path == STANDARD_INPUT or Path(path).is_fifo() or Path(path).is_char_device()


def known_size(path: str, compression: Compression | None) -> int | None:
    """Bytes that will be read of a file; None where nobody knows, of pipes and of compressed files."""
    return None if is_read_once(path) or compression else Path(path).stat().st_size


class _Awaited(io.RawIOBase):
    """A pipe, whose silence ends with `stopping`: nobody could be called back from a read that waits."""

    def __init__(self, file: io.FileIO, stopping: Event) -> None:
        self._file, self._stopping = file, stopping
        self._waiting = select.poll()
        self._waiting.register(file.fileno(), select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int | None:  # type: ignore[override]  # of bytes
        while not self._waiting.poll(POLL):
            if self._stopping.is_set():
                return 0
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_stream(path: str, compression: Compression | None, stopping: Event) -> io.BufferedReader:
    """The bytes of a file, or of standard input, from their beginning; whoever asks closes them.

    They end when `stopping` is set, if they come from a pipe and do not come.
    """
    with reading(path):
        raw: Any = _standard_input() if path == STANDARD_INPUT else io.FileIO(path)
        if isinstance(raw, io.FileIO) and not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            raw = _Awaited(raw, stopping)
        stream = io.BufferedReader(raw)
        with ExitStack() as failed:
            failed.callback(stream.close)
            require_packed(path, stream, compression)
            failed.pop_all()
        if compression is None:
            return stream
        unpacked = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), compression)
        return io.BufferedReader(unpacked, BUFFER)


def _standard_input() -> io.FileIO | BinaryIO:
    """It, or what a program has put in its place.

    A thread that waits in Python's own stream would have a lock that the end of the process needs.
    """
    if sys.stdin is None:
        raise FileError("Standard input (-) is closed: name a file.")
    if sys.stdin.isatty():
        raise FileError("Standard input (-) is a terminal: send rows through a pipe, or name a file.")
    try:
        return io.FileIO(sys.stdin.fileno(), closefd=False)
    except io.UnsupportedOperation:
        return sys.stdin.buffer


@contextmanager
def reading(path: str, line: int = 0) -> Iterator[None]:
    """Turns what reading a file raises into a FileError that names it, and the line or row up to which it was read."""
    try:
        yield
    except UnicodeDecodeError:
        raise FileError(
            f"{path} has names of columns that are not UTF-8: convert it, for example with iconv."
        ) from None
    except (OSError, EOFError, pa.ArrowException) as error:
        what, _, way_out = _what(error).partition(": ")
        where = f" after row {line}" if line else ""
        raise FileError(f"{path} {what}{where}{f': {way_out}' if way_out else ''}.") from error


def _what(error: Exception) -> str:
    said = str(error)
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    if isinstance(error, FileNotFoundError):
        return "is not there any more"
    if "Empty CSV file" in said:
        return "is empty, without even the names of columns"
    if "straddling" in said:
        return f"has a quote that is not closed, or a row of more than {LONGEST_ROW >> 20} MB: close it, or shorten it"
    return "is damaged or not whole, and cannot be read"
