"""The revision of a local model folder: 40 hex digits over the names, sizes and contents of its files.

Hashing a large model takes a while, so a file's hash is remembered by (inode, size, modification time).
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labeld.system.json_file import read_object, replace_object

FolderState = tuple[tuple[str, int, int, int, int], ...]
"""Name, device, inode, size and modification time in nanoseconds of each plain file, by name."""

MEMORY_FILE = "file-hashes.json"
REMEMBER_FROM = 1024 * 1024
"""Bytes of a file from which its hash is worth remembering."""


def folder_revision(folder: Path, cache_dir: Path) -> str:
    """SHA-256, cut to 40 hex digits, over sorted (name, size, content hash) of the folder's plain files."""
    memory = _Memory(cache_dir / MEMORY_FILE)
    digest = hashlib.sha256()
    for path in sorted(_plain_files(folder), key=lambda path: path.name):
        digest.update(f"{path.name}\0{path.stat().st_size}\0{memory.content_hash(path)}\n".encode())
    memory.save()
    return digest.hexdigest()[:40]


def folder_state(folder: Path) -> FolderState:
    """What changes whenever a file of the folder is replaced, without reading any; empty when it cannot be told."""
    with suppress(OSError):
        status = {path.name: path.stat() for path in _plain_files(folder)}
        return tuple(
            (name, one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in sorted(status.items())
        )
    return ()


def _plain_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


class _Memory:
    """Hashes of large files seen before. Losing it costs time only, so an unreadable or unwritable one is no error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hashes: dict[str, str] = {}
        self._changed = False
        self._hashes = {str(key): str(value) for key, value in read_object(path).items()}

    def content_hash(self, path: Path) -> str:
        status = path.stat()
        key = f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        if key in self._hashes:
            return self._hashes[key]
        with path.open("rb") as file:
            result = hashlib.file_digest(file, "sha256").hexdigest()
        if status.st_size >= REMEMBER_FROM:
            self._hashes[key] = result
            self._changed = True
        return result

    def save(self) -> None:
        """Writes what was learned."""
        if self._changed:
            replace_object(self._path, self._hashes)
