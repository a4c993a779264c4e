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
from types import FrameType
from typing import Any, NamedTuple

from uvicorn import Config, Server

from labeld.config.settings import ConnectionLimits
from labeld.errors import LabeldError
from labeld.server.uvicorn_internals import STARTUP_FAILURE
from labeld.system import memory

PING, STARTING, READY = b"ping", b"starting", b"ready"
"""The supervisor's question, and the two answers to it."""
ORPHAN_CHECK = 0.5
"""Seconds between two looks at whether the supervisor is still there."""
ORPHAN_DRAIN = 3.0
"""Seconds a worker has to finish its answers when its supervisor is gone."""
BACKLOG = 2048
"""Connections the kernel keeps waiting."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that the supervisor handles."""
COLLECT_AFTER = 10_000
"""New objects after which Python looks for garbage among them, instead of 700. What was imported it never looks at:
every request waited 80 ms for that (decision 16)."""

logger = logging.getLogger("labeld")


class Address(NamedTuple):
    """Where the server listens; the port is the real one also where 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """`http://host:port`, an IPv6 host in brackets."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


AppFactory = Callable[[Address], Any]
"""Makes the ASGI application, in the worker. The application's `stop_loading()`, if it has one, is called in the
signal handler when the drain begins, and its `on_refused(status)` for what the connection refuses."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker serves, and how."""

    app_factory: AppFactory
    address: Address
    limits: ConnectionLimits
    drain_timeout: float
    """Seconds."""


class LabeldServer(Server):
    """uvicorn's server with an orderly end: SIGTERM drains and the process ends with 0.

    A second SIGTERM changes nothing here, because systemd and process groups send the signal to the worker and to the
    supervisor, which passes it on: ending at once is the supervisor's decision, and it kills. SIGINT is ignored for
    the same reason: a terminal's Ctrl+C reaches both.
    """

    def __init__(self, config: Config, app: Any, supervisor: Connection) -> None:
        super().__init__(config)
        self._app, self._supervisor = app, supervisor

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the drain is over, and answer the supervisor's pings in the event loop that serves."""
        asyncio.get_running_loop().add_reader(self._supervisor.fileno(), self._answer_ping)
        await super().serve(sockets)

    def _answer_ping(self) -> None:
        try:
            if self._supervisor.recv_bytes() == PING:
                self._supervisor.send_bytes(READY if self.started else STARTING)
        except (OSError, EOFError):  # the supervisor has ended
            asyncio.get_running_loop().remove_reader(self._supervisor.fileno())

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Listen to SIGTERM; unlike uvicorn, do not raise it again after the drain."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        yield
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _on_sigterm(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain."""
        del sig, frame
        self.should_exit = True
        stop_loading = getattr(self._app, "stop_loading", None)
        if stop_loading is not None:
            stop_loading()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in the connections that wait, close the listener, and drain."""
        for _ in range(2):  # NOTE: one turn of the loop accepts all that wait; closing the listener resets them
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def work(options: WorkerOptions, listener: socket.socket, supervisor: Connection) -> None:
    """All that the worker process does: drop the supervisor's signal handlers, and serve until SIGTERM.

    Raises SystemExit(STARTUP_FAILURE) if it cannot start.
    """
    signal.set_wakeup_fd(-1)
    for sig in SIGNALS:
        signal.signal(sig, signal.SIG_IGN if sig == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    gc.disable()  # there is no garbage among what is imported, and looking for it takes 25 ms
    memory.limit_arenas()
    threading.Thread(target=_follow_supervisor, name="orphan-watch", daemon=True).start()
    app = _make_app(options)
    gc.freeze()
    gc.enable()
    gc.set_threshold(COLLECT_AFTER)
    LabeldServer(_configure(options, app), app, supervisor).run([listener])


def _make_app(options: WorkerOptions) -> Any:
    try:
        return options.app_factory(options.address)
    except LabeldError as error:
        logger.error("%s", error)  # noqa: TRY400  # its sentence says all
    except Exception:  # the boundary of the process
        logger.exception("The application could not be made.")
    raise SystemExit(STARTUP_FAILURE)


def _configure(options: WorkerOptions, app: Any) -> Config:
    # NOTE: imported here so that the supervisor stays light
    from labeld.server.http_protocol import limited_protocol  # noqa: PLC0415

    return Config(
        app,
        host=options.address.host,
        port=options.address.port,
        http=limited_protocol(options.limits, getattr(app, "on_refused", lambda _: None)),
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
        timeout_graceful_shutdown=options.drain_timeout,  # type: ignore[arg-type]  # asyncio takes a float
    )


def _follow_supervisor() -> None:
    """Without a supervisor drain briefly and end, so that no orphan holds the port."""
    supervisor = parent_process()
    assert supervisor is not None, "work() runs in a child of the supervisor"
    while (
        os.getppid() == supervisor.pid
    ):  # NOTE: other workers hold the other end of the pipe, so it shows no end of file
        time.sleep(ORPHAN_CHECK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_DRAIN)
    os._exit(1)
