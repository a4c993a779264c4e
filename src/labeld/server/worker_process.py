"""One worker process, as the supervisor sees it: started, pinged, ended.

Its timing is in seconds of the monotonic clock.
"""

import contextlib
import socket
import time
from multiprocessing import Pipe, get_context

from labeld.server.worker import DRAIN, PING, READY, WorkerOptions, work

HUNG_AFTER = 5.0
"""Seconds without an answer to a ping after which a worker counts as hung."""
START_LIMIT = 120.0
"""Seconds without an answer to the first ping after which a worker counts as hung: it may still be importing."""


class WorkerProcess:
    """A fork of the supervisor that serves on `listener`. `early_deaths` predecessors in a row died young.

    `at_once` says whether it takes connections before its application has started: nobody else does.
    """

    def __init__(
        self, options: WorkerOptions, listener: socket.socket, *, early_deaths: int = 0, at_once: bool
    ) -> None:
        self._pipe, self._its_pipe = Pipe()
        arguments = (options, listener, self._its_pipe)
        self.process = get_context("fork").Process(target=work, args=arguments, kwargs={"at_once": at_once})
        self.early_deaths = early_deaths
        self.started_at = time.monotonic()
        self.replace_at: float | None = None
        """When its successor is due; `None` while it lives."""
        self.ready = False
        """True once the worker has reported that it is ready."""
        self._pinged_at: float | None = None
        self._answered = False

    def start(self) -> None:
        """Start the process; the caller blocks its own signals meanwhile, or the worker would handle them."""
        self.process.start()
        self._its_pipe.close()

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self.process.pid or 0

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_at

    def is_alive(self) -> bool:
        """True while the process exists; one that has ended is reaped."""
        return self.process.is_alive()

    def hung(self) -> bool:
        """True when a ping stays unanswered for too long. Sends the next ping; never waits."""
        now = time.monotonic()
        self.read_answers()
        if self._pinged_at is None:
            with contextlib.suppress(OSError):  # it is dying, which the next look notices
                self._pipe.send_bytes(PING)
            self._pinged_at = now
        return now - self._pinged_at > (HUNG_AFTER if self._answered else START_LIMIT)

    def read_answers(self) -> None:
        """Take in what it has said so far, also if it has ended since."""
        with contextlib.suppress(OSError, EOFError):
            while self._pipe.poll():
                self.ready = self._pipe.recv_bytes() == READY or self.ready
                self._pinged_at, self._answered = None, True

    def drain(self) -> None:
        """Have it drain without a delay; another one has taken over."""
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(DRAIN)

    def kill(self) -> None:
        """End it now, and wait until it has ended."""
        self.process.kill()
        self.process.join()
        self._pipe.close()
