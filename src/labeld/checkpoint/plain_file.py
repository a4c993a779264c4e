"""Regular files of a model folder, opened so that no special file can block the reader.

Everything that reads a folder goes through here: a folder may hold named pipes and devices, which would block `open` or
never end, and files of any size.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from labeld.errors import FolderError

TEXT_LIMIT = 36_000_000
"""Bytes of a file that is read as a whole, at most, where its reader names no limit of its own. Gemma's tokenizer.json,
the largest that is published, has 33 million; a config has a few thousand."""


def open_plain(path: Path) -> BufferedReader:
    """The file, open for reading; the caller closes it.

    Raises FolderError naming the file when it is missing, may not be read, or is not a plain file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a named pipe must not make us wait
    except (FileNotFoundError, NotADirectoryError):
        raise FolderError(f"{path.name} is missing.") from None
    except OSError as error:
        raise FolderError(f"{path.name} cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FolderError(f"{path.name} is not a plain file.")
    return os.fdopen(handle, "rb")


def read_plain(path: Path, limit: int = TEXT_LIMIT) -> bytes:
    """The content of a file of at most `limit` bytes; raises FolderError as `open_plain`, and when there are more."""
    with open_plain(path) as file:
        _require_within(path, os.fstat(file.fileno()).st_size, limit)
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise FolderError(f"{path.name} cannot be read: {error.strerror}.") from None
    _require_within(path, len(content), limit)  # it may have grown meanwhile
    return content


def require_plain(path: Path, limit: int = TEXT_LIMIT) -> None:
    """Raises FolderError as `read_plain`, without reading: for libraries that open a file themselves."""
    with open_plain(path) as file:
        _require_within(path, os.fstat(file.fileno()).st_size, limit)


def _require_within(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise FolderError(f"{path.name} has {size} bytes, more than the limit of {limit} of such a file.")
