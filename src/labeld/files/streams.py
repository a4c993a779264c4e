"""Bytes of files, decompressed, and the failures of reading them as sentences."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from labeld.files.arrow import pa
from labeld.files.errors import FileError
from labeld.files.formats import STANDARD_INPUT, Compression

LONGEST_ROW = 16 << 20
"""Bytes of the longest row of a csv or jsonl file that is read."""
BUFFER = 1 << 20


def open_stream(path: str, compression: Compression | None) -> io.BufferedReader:
    """The bytes of a file, or of standard input, from their beginning; whoever asks closes them."""
    with reading(path):
        standard = cast("io.BufferedReader", sys.stdin.buffer)
        raw = standard if path == STANDARD_INPUT else Path(path).open("rb")  # noqa: SIM115  # closed by whoever asks
        if compression is None:
            return raw
        unpacked = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression)
        return io.BufferedReader(unpacked, BUFFER)


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
        raise FileError(f"{path} {_what(error)}{f' after row {line}' if line else ''}.") from error


def _what(error: Exception) -> str:
    said = str(error)
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    if isinstance(error, FileNotFoundError):
        return "is not there any more"
    if "Empty CSV file" in said:
        return "is empty, without even the names of columns"
    if "straddling" in said:
        return f"has a quote that is not closed, or a row of more than {LONGEST_ROW >> 20} MB,"
    return "is damaged or not whole, and cannot be read"
