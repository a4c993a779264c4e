"""Capture of file descriptor 2, to which libraries write directly (in a crash, for example), for the log.

At a pipe that nobody reads a library would wait for ever, and with it the thread that called it. The supervisor holds
the other end of ours, so that what a worker wrote before it died is not lost with it.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator

STDERR = 2
MAX_BYTES = 65_536
"""Bytes that are read at a time; a line that is longer becomes several."""
LONGEST = 3_500
"""Bytes of a line in JSON, at most, so that the supervisor can write it whole; a longer one becomes several."""

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
                    for piece in _pieces(line.strip() and line):
                        logger.warning("%s", piece)


def _pieces(line: str) -> Iterator[str]:
    """The line in pieces that are short enough; none of an empty one."""
    while line:
        size = min(len(line), LONGEST)
        while len(json.dumps(line[:size])) > LONGEST:
            size //= 2
        yield line[:size]
        line = line[size:]
