"""A worker: the process that serves. It is started, watched and replaced by `supervisor`."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from uvicorn import Config, Server

from labeld.config.settings import ConnectionLimits
from labeld.errors import LabeldError
from labeld.server import logs
from labeld.server.connection_limits import Refuse, plain_refusal
from labeld.server.lifespan import ManagedApp
from labeld.server.native_stderr import NativeStderr
from labeld.server.uvicorn_internals import STARTUP_FAILURE
from labeld.system import memory

PING, DRAIN = b"ping", b"drain"
"""From the supervisor: a question, and the order to drain at once."""
STARTING, READY = b"starting", b"ready"
"""From the worker: the answers to a ping; READY comes unasked, too, when the application has started."""
ORPHAN_CHECK = 0.5
"""Seconds between two looks at whether the supervisor is still there."""
ORPHAN_DRAIN = 3.0
"""Seconds a worker has to finish its answers when its supervisor is gone."""
BACKLOG = 2048
"""Connections that wait in the kernel, at most."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that the supervisor handles."""
COLLECT_AFTER = 10_000
"""New objects after which Python looks for garbage among them, instead of 700. What was imported it never looks at:
every request waited 80 ms for that (decision 16)."""

logger = logging.getLogger("labeld")


class Address(NamedTuple):
    """Where the server listens; the port is the real one also where 0 was asked for."""

    host: str
    port: int
    uds: Path | None = None
    """The Unix socket that it listens on instead of these two."""

    @property
    def url(self) -> str:
        """`http://host:port`, an IPv6 host in brackets; `unix:path` for a Unix socket."""
        if self.uds:
            return f"unix:{self.uds}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


AppFactory = Callable[[Address], Any]
"""Makes the ASGI application, in the worker. The application's `stop_loading()`, if it has one, is called when the
drain begins, on any thread or in a signal handler, `leave()` when the drain's delay begins, and `refuse`, which is a
`Refuse`, for what the connection refuses."""


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """Options of processes: drain, start and log. All times are in seconds."""

    drain_timeout: float = 30.0
    """For requests in flight after SIGTERM, and after `drain_delay`."""
    drain_delay: float = 0.0
    """After SIGTERM, in which requests are still taken although /ready is 503."""
    log_format: str = "text"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options of a worker."""

    app_factory: AppFactory
    address: Address
    limits: ConnectionLimits
    process: ProcessOptions
    stderr: NativeStderr
    """The pipe in place of file descriptor 2, at which no library waits for a reader."""


class LabeldServer(Server):
    """uvicorn's server with an orderly end: SIGTERM drains and the process ends with 0.

    A second SIGTERM changes nothing here, because systemd and process groups send the signal to the worker and to the
    supervisor, which passes it on: ending at once is the supervisor's decision, and it kills. SIGINT and SIGHUP are
    ignored for the same reason: those of a terminal reach both.
    """

    def __init__(self, app: Any, options: WorkerOptions, supervisor: Connection, *, at_once: bool) -> None:
        process = options.process
        self._app, self._drain_delay, self._supervisor = app, process.drain_delay, supervisor
        self._managed = ManagedApp(app, self, at_once=at_once)
        self._loop: asyncio.AbstractEventLoop
        self._stopping = False
        self.exit_code = 0
        super().__init__(_configure(self._managed, options, getattr(app, "refuse", plain_refusal)))

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the drain is over, and answer the supervisor's pings in the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._supervisor.fileno(), self._on_supervisor_message)
        await super().serve(sockets)

    def ready(self) -> None:
        """Let the supervisor know at once: it must not take a worker that has served for one that cannot start."""
        with contextlib.suppress(OSError):
            self._supervisor.send_bytes(READY)

    def _on_supervisor_message(self) -> None:
        try:
            message = self._supervisor.recv_bytes()
            if message == PING:
                self._supervisor.send_bytes(READY if self._managed.serving else STARTING)
            elif message == DRAIN:
                self.drain()
        except (OSError, EOFError):  # the supervisor has ended
            self._loop.remove_reader(self._supervisor.fileno())

    def give_up(self, code: int) -> None:
        """End, with this exit code, because the application cannot go on."""
        self.exit_code = code
        self.drain()

    def drain(self) -> None:
        """Take no more requests, answer those in flight, and end. May be called on any thread, in a handler too."""
        self.should_exit = True
        stop_loading = getattr(self._app, "stop_loading", None)
        if stop_loading is not None:
            stop_loading()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Listen to SIGTERM; unlike uvicorn, do not raise it again after the drain."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        yield
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _on_sigterm(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain, after its delay."""
        del sig, frame
        if self._stopping:
            return
        self._stopping = True
        if self._drain_delay and self._managed.serving:
            getattr(self._app, "leave", lambda: None)()
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_delay, self.drain)
        else:
            self.drain()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in the connections that wait, close the listener, and drain."""
        for _ in range(2):  # NOTE: one turn of the loop accepts all that wait; closing the listener resets them
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def work(options: WorkerOptions, listener: socket.socket, supervisor: Connection, *, at_once: bool) -> None:
    """The main function of a worker process: drops the supervisor's signal handlers and serves until SIGTERM.

    `at_once` says whether it takes connections before its application has started. Raises SystemExit with a code:
    STARTUP_FAILURE if it cannot start.
    """
    signal.set_wakeup_fd(-1)
    for sig in SIGNALS:
        signal.signal(sig, signal.SIG_DFL if sig == signal.SIGTERM else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    _begin_log(options)
    gc.disable()  # there is no garbage among what is imported, and looking for it takes 25 ms
    memory.limit_arenas()
    try:
        server = LabeldServer(_make_app(options), options, supervisor, at_once=at_once)
        gc.freeze()
        gc.enable()
        gc.set_threshold(COLLECT_AFTER)
        threading.Thread(target=_follow_supervisor, args=(server,), name="orphan-watch", daemon=True).start()
        server.run([listener])
        if server.exit_code:
            raise SystemExit(server.exit_code)
    finally:
        logs.flush()


def _begin_log(options: WorkerOptions) -> None:
    logs.configure_in_background(options.process.log_format, options.stderr.log_file)
    options.stderr.redirect()


def _make_app(options: WorkerOptions) -> Any:
    try:
        return options.app_factory(options.address)
    except LabeldError as error:
        logger.error("%s", error)  # noqa: TRY400  # its sentence says all
    except Exception:  # the boundary of the process
        logger.exception("The application could not be made.")
    raise SystemExit(STARTUP_FAILURE)


def _configure(app: ManagedApp, options: WorkerOptions, refuse: Refuse) -> Config:
    # NOTE: imported here so that the supervisor stays light
    from labeld.server.http_protocol import limited_protocol  # noqa: PLC0415

    return Config(
        app,
        host=options.address.host,
        port=options.address.port,
        http=limited_protocol(options.limits, refuse),
        loop="uvloop",
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        backlog=BACKLOG,
        workers=1,
        timeout_graceful_shutdown=options.process.drain_timeout,  # type: ignore[arg-type]  # asyncio takes a float
    )


def _follow_supervisor(server: LabeldServer) -> None:
    """Without a supervisor drain briefly and end, so that no orphan holds the port."""
    supervisor = parent_process()
    assert supervisor is not None, "work() runs in a child of the supervisor"
    while os.getppid() == supervisor.pid:  # NOTE: other workers hold the other end of the pipe: no end of file
        time.sleep(ORPHAN_CHECK)
    server.drain()
    time.sleep(ORPHAN_DRAIN)
    os._exit(1)
