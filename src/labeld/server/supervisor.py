"""The supervisor: owns the port, starts the workers, replaces those that die or hang, and ends them in order.

It never imports what is served, and has one thread: each worker is a fork of it, which begins with what is imported
here already and shares its memory (decision 18). Its timing is in seconds of the monotonic clock.

NOTE: this subclasses uvicorn's internals, so uvicorn is pinned to one minor version in pyproject.toml.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from multiprocessing import connection, get_context
from types import FrameType

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from labeld.server.worker import LabeldServer, ServerConfig, work

TICK = 0.5
"""Seconds between two looks at the workers; a worker that dies is noticed at once."""
HUNG_AFTER = 5.0
"""Seconds without an answer to a ping after which a worker counts as hung."""
START_LIMIT = 120.0
"""The same for a worker that has not answered its first ping: it may still be importing."""
STABLE_AFTER = 10.0
"""A worker that lived this long and then died is replaced at once; one that lived shorter waits for its turn."""
BACK_OFF = (0.5, 1.0, 2.0, 3.0)
"""Seconds before the first, second, … replacement in a row of workers that lived shorter than `STEADY`."""
KILL_GRACE = 2.0
"""Seconds after the drain in which a worker must have ended; then it is killed."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that the supervisor handles."""
SAME_SIGNAL = 0.2
"""Seconds in which a repeated signal is the same one: `timeout`, for instance, signals the process and its group."""

logger = logging.getLogger("labeld")


class Worker(Process):
    """One worker process, as the supervisor sees it. `early_deaths` predecessors in a row died young."""

    def __init__(self, config: ServerConfig, sockets: list[socket.socket], early_deaths: int = 0) -> None:
        super().__init__(config, sockets)
        fork = get_context("fork").Process(target=self.target, args=(sockets,))
        self.process = fork  # type: ignore[assignment]  # uvicorn's own, which never starts, is a new Python
        self.early_deaths = early_deaths
        self.started_at = time.monotonic()
        self.replace_at: float | None = None
        """When its successor is due; `None` while it lives."""
        self.served = False
        """Whether it is known to have been ready."""
        self._pinged_at: float | None = None
        self._answered = False

    @property
    def server(self) -> LabeldServer:
        """The server; made in the worker process only."""
        if self._server is None:
            self._server = LabeldServer(self.config)
        assert isinstance(self._server, LabeldServer)
        return self._server

    def start(self) -> None:
        """Start the process; a signal that comes meanwhile waits, or the worker would handle it as the supervisor."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """What the worker process does: forget the supervisor's signals, answer pings, and serve.

        SIGINT it ignores from the beginning, as `LabeldServer` says.
        """
        signal.set_wakeup_fd(-1)
        for sig in SIGNALS:
            signal.signal(sig, signal.SIG_IGN if sig == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=self.always_pong, name="pong", daemon=True).start()
        work(self.server, sockets or [])

    def hung(self) -> bool:
        """Whether pings stay unanswered; unlike uvicorn's own check it never waits."""
        now = time.monotonic()
        if self._pinged_at is not None and self.parent_conn.poll():
            self.served = self.parent_conn.recv() or self.served
            self._pinged_at, self._answered = None, True
        if self._pinged_at is None:
            self.parent_conn.send(b"ping")
            self._pinged_at = now
        return now - self._pinged_at > (HUNG_AFTER if self._answered else START_LIMIT)


class Supervisor:
    """Keeps `config.workers` workers alive on `listener`, until a signal ends it all.

    It does what uvicorn's `Multiprocess` does, with uvicorn's `Process`; that class waits in too many places (for
    pings, for a worker that drains) to notice a death or a signal in time.
    """

    def __init__(self, config: ServerConfig, listener: socket.socket, drain_timeout: float) -> None:
        self._config, self._listener = config, listener
        self._time_to_end = drain_timeout + KILL_GRACE
        self._workers: list[Worker] = []
        self._retired: list[tuple[Worker, float]] = []
        """Workers that drain after their successor has taken over, and when they must have ended."""
        self._should_exit = threading.Event()
        self._stopped_at: float | None = None
        self._restart = False
        self._served = False
        self._exit_code = 0
        self._wake, self._waker = socket.socketpair()

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; returns the exit code. Call it in the main thread."""
        self._take_signals()
        self._workers = [self._start() for _ in range(self._config.workers)]
        while not self._should_exit.is_set():
            if self._restart:
                self._restart = False
                self._restart_all()
            self._look_after_workers()
            self._wait()
        return self._end()

    def _take_signals(self) -> None:
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_restart)

    def _on_stop(self, sig: int, frame: FrameType | None) -> None:
        """First signal: end in order. Second: end now, whatever this thread is waiting for."""
        del frame
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
            self._should_exit.set()
        elif now - self._stopped_at > SAME_SIGNAL:
            for worker in self._everyone():
                worker.process.kill()
            os._exit(128 + sig)

    def _on_restart(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self._restart = True

    def _everyone(self) -> list[Worker]:
        return [*self._workers, *(worker for worker, _ in self._retired)]

    def _start(self, early_deaths: int = 0) -> Worker:
        worker = Worker(self._config, [self._listener], early_deaths)
        worker.start()
        return worker

    def _wait(self) -> None:
        """Until a signal, a death or the next tick."""
        alive = [worker.process.sentinel for worker in self._everyone() if worker.replace_at is None]
        due = min((worker.replace_at for worker in self._workers if worker.replace_at), default=float("inf"))
        connection.wait([*alive, self._wake], max(0.0, min(TICK, due - time.monotonic())))
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(64)

    def _look_after_workers(self) -> None:
        for index, worker in enumerate(self._workers):
            if worker.replace_at is None and (not worker.process.is_alive() or worker.hung()):
                self._reap(worker)
            if self._should_exit.is_set():
                return
            self._served = self._served or worker.served
            if worker.replace_at is not None and worker.replace_at <= time.monotonic():
                self._workers[index] = self._start(worker.early_deaths)
        for worker, end_by in self._retired:
            if time.monotonic() > end_by:
                worker.process.kill()
        self._retired = [(worker, end_by) for worker, end_by in self._retired if worker.process.is_alive()]

    def _reap(self, worker: Worker) -> None:
        """Make sure it is dead, say so, and decide when its successor starts."""
        was_hung = worker.process.is_alive()
        worker.kill()
        worker.process.join()
        code = worker.exitcode or 0
        lived = time.monotonic() - worker.started_at
        worker.replace_at = time.monotonic()
        if code == STARTUP_FAILURE and not self._served:
            logger.error("the worker could not start: stopping")
            self._exit_code = 1
            self._should_exit.set()
            return
        worker.early_deaths = 0 if lived >= STABLE_AFTER else worker.early_deaths + 1
        delay = BACK_OFF[min(worker.early_deaths, len(BACK_OFF)) - 1] if worker.early_deaths else 0.0
        worker.replace_at += delay
        how = "was hung and is killed" if was_hung else _death(code)
        when = f"in {delay:g} s" if delay else "now"
        logger.warning("worker %s %s after %.1f s; a new one starts %s", worker.pid, how, lived, when)

    def _restart_all(self) -> None:
        """Replace each worker by one that is already serving; the old one drains meanwhile."""
        for index, old in enumerate(self._workers):
            new = self._start()
            if not new.wait_until_ready(self._config.timeout_worker_healthcheck, self._should_exit):
                new.kill()
                new.process.join()
                if not self._should_exit.is_set():
                    logger.error("the new worker did not become ready: the old one stays, the restart ends here")
                return
            self._workers[index] = new
            if old.replace_at is None:
                old.terminate()
                self._retired.append((old, time.monotonic() + self._time_to_end))

    def _end(self) -> int:
        """Pass the signal on, let the workers drain, kill those that do not end; returns the exit code."""
        self._listener.close()
        everyone = self._everyone()
        for worker in everyone:
            if worker.process.is_alive():
                os.kill(worker.process.pid or 0, signal.SIGTERM)
        end_by = time.monotonic() + self._time_to_end
        for worker in everyone:
            worker.process.join(max(0.0, end_by - time.monotonic()))
        for worker in everyone:
            if worker.process.is_alive():
                logger.error("worker %s did not end within its drain: killed", worker.pid)
                worker.process.kill()
                worker.process.join()
                self._exit_code = 1
        return self._exit_code


def _death(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
