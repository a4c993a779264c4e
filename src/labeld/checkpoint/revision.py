"""The revision of a local model folder: 40 hex digits over the names, sizes and contents of the relevant files.

Those are config.json, the tokenizer's files and the weights in the form that is read: a README or a file left behind
by a training is not hashed and changes nothing (docs/internals/decisions/0021-revision-of-a-folder.md). Hashing a large
model takes a while, so a file's hash is cached by (device, inode, size, modification time).
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labeld.checkpoint.file_names import CONFIG, TOKENIZER, may_count
from labeld.checkpoint.plain_file import open_plain
from labeld.checkpoint.shards import weight_files
from labeld.errors import FolderError
from labeld.system.json_file import read_object, replace_object

FolderState = tuple[tuple[str, int, int, int, int], ...]
"""Name, device, inode, size and modification time in nanoseconds of each plain file that may count, by name."""

HASHES_FILE = "file-hashes.json"
CACHE_FROM = 1024 * 1024
"""Bytes of a file from which on its hash is cached."""
READ_AT_MOST = 64 * 1024 * 1024
"""Bytes of the config or of a tokenizer's file that is ever read (tokenization/files.py), and more."""


def folder_revision(folder: Path, cache_dir: Path) -> str:
    """SHA-256, cut to 40 hex digits, over sorted (name, size, content hash) of the files that count.

    Raises FolderError naming the file that cannot be read.
    """
    hashes = _HashCache(cache_dir / HASHES_FILE)
    digest = hashlib.sha256()
    small = [name for name in (CONFIG, *TOKENIZER) if (folder / name).is_file()]
    weights = weight_files(folder)
    for name in sorted({*small, *weights}):
        size, content = hashes.content_hash(folder / name, sys.maxsize if name in weights else READ_AT_MOST)
        digest.update(f"{name}\0{size}\0{content}\n".encode())
    hashes.save()
    return digest.hexdigest()[:40]


def folder_state(folder: Path) -> FolderState:
    """A value that changes whenever a file that may count is replaced; empty where the folder is unreadable."""
    with suppress(OSError), os.scandir(folder) as entries:
        return tuple(sorted(state for entry in entries if may_count(entry.name) for state in _states(entry)))
    return ()


def _states(entry: os.DirEntry[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """The state of a plain file; nothing for a folder, a pipe, or a broken link."""
    with suppress(OSError):
        status = entry.stat()
        if stat.S_ISREG(status.st_mode):
            yield entry.name, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class _HashCache:
    """Cached hashes of large files. Losing it costs time only, so an unreadable or unwritable one is no error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        self._hashes = {str(key): str(value) for key, value in read_object(path).items()}

    def content_hash(self, path: Path, limit: int) -> tuple[int, str]:
        """Size of a file, and its SHA-256 in hex; nothing for that where the file is larger than `limit`."""
        with open_plain(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > limit:  # nobody reads it, so its content decides no answer
                return status.st_size, ""
            key = f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
            if key in self._hashes:
                return status.st_size, self._hashes[key]
            try:
                result = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise FolderError(f"{path.name} cannot be read: {error.strerror}.") from None
        if status.st_size >= CACHE_FROM:
            self._hashes[key] = result
            self._changed = True
        return status.st_size, result

    def save(self) -> None:
        """Writes the cache."""
        if self._changed:
            replace_object(self._path, self._hashes)
