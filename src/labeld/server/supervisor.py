"""The supervisor: owns the port, starts the workers, replaces those that die or hang, and ends them in order.

It never imports what is served, and has one thread: each worker is a fork of it, which begins with what is imported
here already and shares its memory (decision 18). Its timing is in seconds of the monotonic clock.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import connection
from types import FrameType

from labeld.server.uvicorn_internals import STARTUP_FAILURE
from labeld.server.worker import SIGNALS, WorkerOptions
from labeld.server.worker_process import WorkerProcess

TICK = 0.5
"""Seconds between two looks at the workers; a worker that dies is noticed at once."""
STABLE_AFTER = 10.0
"""A worker that lived this long and then died is replaced at once; after one that lived shorter there is a pause."""
BACK_OFF = (0.5, 1.0, 2.0, 3.0)
"""Seconds before the first, second, … replacement in a row of workers that lived shorter than `STABLE_AFTER`."""
KILL_GRACE = 2.0
"""Seconds after the drain in which a worker must have ended; then it is killed."""
READY_LIMIT = 60.0
"""Seconds in which a worker that is to replace another must be ready; it may have models to load."""
OUT_OF_MEMORY = ". The kernel kills so when memory runs out: give it more, or lower LABELD_MEMORY_BUDGET"
"""For an operator whose workers die of a SIGKILL that nobody has sent."""
SAME_SIGNAL = 0.2
"""Seconds in which a repeated signal is the same one: `timeout`, for instance, signals the process and its group."""

logger = logging.getLogger("labeld")

Reload = Callable[[WorkerOptions], WorkerOptions | None]
"""Called on SIGHUP with the options of the workers: the new ones, or None where everything stays as it is."""


class Supervisor:
    """Keeps so many workers alive on `listener`, until a signal ends it all."""

    def __init__(
        self, options: WorkerOptions, listener: socket.socket, workers: int, reload: Reload = lambda options: options
    ) -> None:
        self._options, self._listener, self._count, self._reload = options, listener, workers, reload
        self._workers: list[WorkerProcess] = []
        self._retired: list[tuple[WorkerProcess, float]] = []
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
        self._workers = [self._start() for _ in range(self._count)]
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
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, self._on_stop if _has_terminal() else self._on_restart)

    def _on_stop(self, sig: int, frame: FrameType | None) -> None:
        """First signal: end in order. Second: end now, whatever this thread is waiting for.

        A closed terminal is no second signal: the kernel and the shell each send one.
        """
        del frame
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
            self._should_exit.set()
        elif sig != signal.SIGHUP and now - self._stopped_at > SAME_SIGNAL:
            for worker in self._everyone():
                worker.process.kill()
            os._exit(128 + sig)

    def _on_restart(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self._restart = True

    @property
    def _drain_limit(self) -> float:
        return self._options.process.drain_timeout + KILL_GRACE

    def _everyone(self) -> list[WorkerProcess]:
        return [*self._workers, *(worker for worker, _ in self._retired)]

    def _start(self, early_deaths: int = 0) -> WorkerProcess:
        for other in self._workers:
            other.read_answers()
        nobody_serves = not any(other.ready and other.replace_at is None for other in self._workers)
        worker = WorkerProcess(self._options, self._listener, early_deaths=early_deaths, at_once=nobody_serves)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one that comes meanwhile waits
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return worker

    def _wait(self, *more: WorkerProcess) -> None:
        """Waits until a signal, the death of a worker, or the next tick."""
        alive = [one.process.sentinel for one in (*self._everyone(), *more) if one.replace_at is None]
        due = min((worker.replace_at for worker in self._workers if worker.replace_at), default=float("inf"))
        stderr = self._options.stderr
        connection.wait([*alive, self._wake, stderr.fileno()], max(0.0, min(TICK, due - time.monotonic())))
        stderr.log()
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(64)

    def _look_after_workers(self) -> None:
        for index, worker in enumerate(self._workers):
            if worker.replace_at is None and (not worker.is_alive() or worker.hung()):
                self._reap(worker)
            if self._should_exit.is_set():
                return
            self._served = self._served or worker.ready
            if worker.replace_at is not None and worker.replace_at <= time.monotonic():
                self._workers[index] = self._start(worker.early_deaths)
        for worker, end_by in self._retired:
            if time.monotonic() > end_by:
                worker.kill()
        self._retired = [(worker, end_by) for worker, end_by in self._retired if worker.is_alive()]

    def _reap(self, worker: WorkerProcess) -> None:
        """Kills and reaps a dead or hung worker, logs it, and schedules its successor."""
        was_hung = worker.is_alive()
        worker.read_answers()
        self._served = self._served or worker.ready
        worker.kill()
        code, lived = worker.process.exitcode or 0, worker.seconds
        worker.replace_at = time.monotonic()
        if code == STARTUP_FAILURE and not self._served:
            self._exit_code = 1
            self._should_exit.set()
            logger.error("the worker could not start: stopping")
            return
        worker.early_deaths = 0 if lived >= STABLE_AFTER else worker.early_deaths + 1
        delay = BACK_OFF[min(worker.early_deaths, len(BACK_OFF)) - 1] if worker.early_deaths else 0.0
        worker.replace_at += delay
        how = "was hung and is killed" if was_hung else _death(code)
        when = f"in {delay:g} s" if delay else "now"
        hint = OUT_OF_MEMORY if not was_hung and code == -signal.SIGKILL else ""
        logger.warning("worker %s %s after %.1f s; a new one starts %s%s", worker.pid, how, lived, when, hint)

    def _restart_all(self) -> None:
        """Replace each worker by one with the options of now, which is already serving; the old one drains meanwhile.

        Without an effect where there are no such options. Where a new worker does not become ready, those that were
        replaced before it get their old options back, so that all workers have the same ones; where no worker becomes
        ready with those any more either, they differ, which is logged.
        """
        before, options = self._options, self._reload(self._options)
        if options is None:
            return
        self._options = options
        replaced = self._replace(len(self._workers))
        if replaced < len(self._workers) and not self._should_exit.is_set():
            logger.error(
                "the new worker ended, or did not become ready within %g s: the old one stays, the restart ends here",
                READY_LIMIT,
            )
            self._options = before
            if options is before:
                return
            kept = replaced - self._replace(replaced)
            if kept and not self._should_exit.is_set():
                logger.error(
                    "%d of %d workers keep the new settings, because none becomes ready with the old ones any more: "
                    "restart the server, or mend the settings and send SIGHUP again",
                    kept,
                    len(self._workers),
                )

    def _replace(self, count: int) -> int:
        """Replaces so many workers, one after the other, up to the first that does not become ready; their number."""
        for index in range(count):
            new = self._start()
            if not self._becomes_ready(new):
                new.kill()
                return index
            old, self._workers[index] = self._workers[index], new
            if old.replace_at is None:
                old.drain()
                self._retired.append((old, time.monotonic() + self._drain_limit))
        return count

    def _becomes_ready(self, new: WorkerProcess) -> bool:
        """True when a new worker becomes ready in time; the others are supervised meanwhile."""
        while not new.ready:
            if not new.is_alive() or new.hung() or new.seconds > READY_LIMIT:
                return False
            self._wait(new)
            self._look_after_workers()
            if self._should_exit.is_set():
                return False
            new.read_answers()
        return True

    def _end(self) -> int:
        """Pass the signal on, let the workers drain, kill those that do not end; returns the exit code."""
        self._listener.close()
        everyone = self._everyone()
        for worker in everyone:
            if worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)
        end_by = time.monotonic() + self._options.process.drain_delay + self._drain_limit
        for worker in everyone:
            while worker.is_alive() and (left := end_by - time.monotonic()) > 0:
                worker.process.join(min(left, TICK))
                self._options.stderr.log()
        for worker in everyone:
            if worker.is_alive():
                worker.kill()
                self._exit_code = 1
                logger.error("worker %s did not end within its drain: killed", worker.pid)
        self._options.stderr.log()
        return self._exit_code


def _has_terminal() -> bool:
    """True when this process has a controlling terminal, which sends SIGHUP when it is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _death(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
