"""Capture of file descriptor 2, to which libraries write directly (in a crash, for example), for the JSON log.

The supervisor holds the pipe's other end, so that what a worker wrote before it died is not lost with it.
"""

import contextlib
import logging
import os

STDERR = 2
MAX_BYTES = 65_536
"""Bytes that are read at a time; a line that is longer becomes several."""

logger = logging.getLogger("labeld.stderr")


class NativeStderr:
    """A pipe in the place of the workers' file descriptor 2. Made in the supervisor, before it forks.

    Both ends never block: what nobody reads in time is lost, and no thread that writes to it waits.
    """

    def __init__(self) -> None:
        self.log_file = os.dup(STDERR)
        """The real one, where workers write the log."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """The end that is ready when there is something to log."""
        return self._read

    def redirect(self) -> None:
        """In a worker: whatever is written to file descriptor 2 from now on goes into the pipe."""
        os.dup2(self._write, STDERR)

    def log(self) -> None:
        """In the supervisor: log what has been written so far, a warning for each line."""
        with contextlib.suppress(BlockingIOError):
            while written := os.read(self._read, MAX_BYTES):
                for line in written.decode("utf-8", "backslashreplace").splitlines():
                    if line.strip():
                        logger.warning("%s", line)
