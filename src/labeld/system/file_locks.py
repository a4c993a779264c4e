"""Locks between threads and processes (flock), which end with the process that holds them."""

import fcntl
import os
import threading
from pathlib import Path

from labeld.errors import UnavailableError

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX

RETRY_SECONDS = 0.2
"""Seconds between two attempts to take a lock; a wait inside flock could not be stopped."""


class Locks:
    """Locks by name, each an empty file in one folder. The files stay: a deleted one could be held twice."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str, kind: int) -> int | None:
        """A handle that holds the lock until `unlock`; None while another handle does. `kind` is SHARED or EXCLUSIVE.

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
        """Waits for the exclusive lock and returns its handle; creates the folder.

        Raises UnavailableError when `stopping` is set.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        while (handle := self.take(name, EXCLUSIVE)) is None:
            if stopping.wait(RETRY_SECONDS):
                raise UnavailableError("This server is stopping: try again in a moment.")
        return handle


def unlock(handle: int | None) -> None:
    """Releases a lock; does nothing for None."""
    if handle is not None:
        os.close(handle)
