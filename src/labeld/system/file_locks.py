"""Locks between threads and processes (flock), which end with the process that has them."""

import fcntl
import os
import threading
from pathlib import Path

from labeld.errors import UnavailableError

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX

LOOK_AGAIN = 0.2
"""Seconds between two looks whether somebody else's lock has ended; to wait inside flock could not be stopped."""


class Locks:
    """Locks by name, each an empty file of one folder; the files stay, so that a lock is never two."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str, kind: int) -> int | None:
        """A handle that has the lock until `unlock`, or None when somebody else has it.

        Raises OSError when the folder is missing or cannot be written to.
        """
        handle = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def wait(self, name: str, stopping: threading.Event) -> int:
        """The exclusive lock, as soon as nobody else has it; makes the folder.

        Raises UnavailableError when `stopping` is set.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        while (handle := self.take(name, EXCLUSIVE)) is None:
            if stopping.wait(LOOK_AGAIN):
                raise UnavailableError("This server is stopping: try again in a moment.")
        return handle


def unlock(handle: int | None) -> None:
    """Ends a lock."""
    if handle is not None:
        os.close(handle)
