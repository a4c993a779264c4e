"""Disk use of folders, and errors of a disk in the operator's terms."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labeld.errors import StoreError


def tree_size(folder: Path) -> int:
    """Bytes of all files below a folder; files and folders that vanish meanwhile do not count."""
    size = 0
    for parent, _, names in os.walk(folder):  # NOTE: not `rglob`, which raises where a folder has just been renamed
        for name in names:
            path = Path(parent, name)
            with suppress(OSError):
                size += path.lstat().st_size if path.is_file() else 0
    return size


def entries(folder: Path) -> list[Path]:
    """What a folder holds; nothing where it is none, or another process has removed it meanwhile."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [*folder.iterdir()]
    return []


def is_memory(folder: Path) -> bool:
    """Whether files in this folder take memory instead of a disk (tmpfs), by the mounts that this process sees."""
    device = folder.stat().st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == place:
            return after.split()[0] in {"tmpfs", "ramfs"}
    return False


def out_of_files(error: BaseException) -> bool:
    """True when this error, or a cause of it, means that there are too few file descriptors."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and one.errno in {errno.EMFILE, errno.ENFILE}:
            return True
        if os.strerror(errno.EMFILE) in str(one):  # a library's own error, of OpenVINO's or of tokenizers'
            return True
        one = one.__cause__ or one.__context__
    return False


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns an OSError into a StoreError that says what the operator can do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError("The disk of the model store is full: free space, or remove models from it.") from error
        raise StoreError(
            "The model store cannot be written to: see the setting store_dir, and who owns the folder."
        ) from error
