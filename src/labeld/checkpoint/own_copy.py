"""Copies of weight files that others may change in place, as `cp` does over a file that is there.

A mapped file that is cut off ends the process at the next page that is read of it (SIGBUS), and one that is written
over makes answers of two models' weights. A copy without a name costs room on the disk for as long as the model is
loaded, and 0.1 s for 268 MB.
"""

import logging
import os
import shutil
import tempfile
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from labeld.errors import FolderError
from labeld.system.disk import is_memory

HOLES = 8
"""A file is mostly holes, and no weights, where it has this many times the bytes that it takes of its disk."""

_log = logging.getLogger(__name__)


def own_copy(file: BufferedReader, name: str, folder: Path) -> IO[Any]:
    """A copy of an open file, without a name of its own, in this folder; the file itself where there is no room.

    Raises FolderError where the file is cut off meanwhile; whoever loads sees whether it was written over.
    """
    stat = os.fstat(file.fileno())
    if stat.st_size > HOLES * (512 * stat.st_blocks + (1 << 20)):
        return file
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_memory(folder) or stat.st_size > shutil.disk_usage(folder).free // 2:
            _log.warning("the cache folder has no disk with room for a copy of %s: replace it only by renaming", name)
            return file
        with ExitStack() as failed:
            copy = failed.enter_context(tempfile.TemporaryFile(dir=folder))
            done = 0
            while done < stat.st_size:
                sent = os.sendfile(copy.fileno(), file.fileno(), done, 1 << 30)
                if not sent:
                    raise FolderError(f"{name} was cut off while it was read: replace a model by rename.")
                done += sent
            failed.pop_all()
            return copy
    except OSError as error:
        _log.warning("the cache folder takes no copy of %s (%s): replace it only by renaming", name, error.strerror)
        return file
