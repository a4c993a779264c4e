"""Log handlers that write lines to a file descriptor and never block or fail.

A log that nobody reads, a full disk or a closed stream costs lines, which are counted, and never a request.
"""

import logging
import os
import select
import threading
from queue import SimpleQueue

QUEUE_BYTES = 4 * 1024 * 1024
"""Bytes of lines that may wait for a slow reader; what comes on top is dropped."""
FLUSH_SECONDS = 1.0
"""Seconds that waiting lines get to be written when the process ends."""


def write_now(file: int, line: bytes) -> bool:
    """Write `line`, unless that fails or would have to wait for a reader; returns whether it is written.

    NOTE: a pipe that is ready takes PIPE_BUF bytes without blocking, so a longer line is cut.
    """
    if len(line) > select.PIPE_BUF:
        line = line[: select.PIPE_BUF - 1] + b"\n"
    ready = select.poll()
    ready.register(file, select.POLLOUT)
    try:
        return bool(ready.poll(0)) and os.write(file, line) == len(line)
    except OSError:
        return False


def _write_all(file: int, line: bytes) -> bool:
    """Write `line`, however long its reader takes; returns whether it is written."""
    rest = memoryview(line)
    try:
        while rest:
            try:
                rest = rest[os.write(file, rest) :]
            except BlockingIOError:  # somebody who shares the file has made it non-blocking
                select.select([], [file], [])
    except OSError:
        return False
    return True


class LineHandler(logging.Handler):
    """Writes each record as a line to a file descriptor, at once or not at all. For a process without threads."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self.dropped = 0
        """Lines that could not be written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if (line := self._line(record)) and not write_now(self._file, line):
            self.dropped += 1

    def _line(self, record: logging.LogRecord) -> bytes:
        """The bytes of the line, or none if the record is a mistake of the code that logs."""
        try:
            return f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001  # as every handler of the standard library
            self.handleError(record)
            return b""


class BackgroundLineHandler(LineHandler):
    """Hands each line to a thread that writes it, in order. At most `QUEUE_BYTES` wait; what is dropped is counted.

    The number is written once writing works again. The thread is a daemon, which `close` waits for only briefly.
    """

    def __init__(self, file: int) -> None:
        super().__init__(file)
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        # NOTE: one thread alone adds to each, the callers under the handler's lock, so they need none of their own
        self._taken = self._done = self._refused = self._failed = 0
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; called under the handler's lock."""
        line = self._line(record)
        if self._taken - self._done + len(line) > QUEUE_BYTES:
            self._refused += 1
            self.dropped = self._refused + self._failed
        elif line:
            self._taken += len(line)
            self._lines.put(line)

    def close(self) -> None:
        """Write what waits, for `FLUSH_SECONDS` at most."""
        self._lines.put(b"")
        if self._writer.is_alive():
            self._writer.join(FLUSH_SECONDS)
        super().close()

    def _write(self) -> None:
        reported = 0
        while line := self._lines.get():
            written = _write_all(self._file, line)
            self._done += len(line)
            if not written:
                self._failed += 1
                self.dropped = self._refused + self._failed
            elif self.dropped > reported and self._taken - self._done < QUEUE_BYTES // 2:
                dropped = self.dropped
                if _write_all(self._file, self._note(dropped - reported)):
                    reported = dropped

    def _note(self, dropped: int) -> bytes:
        message = "%d lines of the log were dropped: they could not be written, or not as fast as they came"
        return self._line(logging.LogRecord("labeld", logging.WARNING, "", 0, message, (dropped,), None))
