"""What folders take of a disk, and what a disk that refuses more means for the operator."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labeld.errors import StoreError


def tree_size(folder: Path) -> int:
    """Bytes of all files below a folder, those left out that vanish meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_size if path.is_file() else 0
    return size


@contextmanager
def disk_errors() -> Iterator[None]:
    """Says of an OSError what the operator can do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError("The disk of the model store is full: free space, or remove models from it.") from error
        raise StoreError(
            "The model store cannot be written to: see the setting store_dir, and who owns the folder."
        ) from error
