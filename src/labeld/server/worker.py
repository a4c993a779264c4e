"""A worker: the process that serves. It is started, watched and replaced by `supervisor`.

NOTE: this subclasses uvicorn's internals, so uvicorn is pinned to one minor version in pyproject.toml.
"""

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
from multiprocessing import parent_process
from types import FrameType
from typing import Any, NamedTuple

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.server import Server

from labeld.config.settings import ConnectionLimits
from labeld.errors import LabeldError
from labeld.server import logs
from labeld.system import memory

ORPHAN_CHECK = 0.5
"""Seconds between two looks at whether the supervisor is still there."""
ORPHAN_DRAIN = 3.0
"""Seconds a worker has to finish its answers when its supervisor is gone."""
BACKLOG = 2048
"""Connections the kernel keeps waiting."""
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


class ServerConfig(Config):
    """uvicorn's configuration as labeld uses it; made in the supervisor, loaded in the workers."""

    def __init__(
        self,
        app_factory: AppFactory,
        address: Address,
        limits: ConnectionLimits,
        drain_timeout: float,
        log_format: str = "text",
    ) -> None:
        self.log_format = log_format  # NOTE: uvicorn's constructor configures the log
        super().__init__(
            app_factory,
            host=address.host,
            port=address.port,
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
            # NOTE: uvicorn's own check of a new worker, in a rolling restart only; it may have models to load.
            timeout_worker_healthcheck=60,
        )
        self.app_factory, self.address, self.limits = app_factory, address, limits
        self.timeout_graceful_shutdown = drain_timeout  # type: ignore[assignment]  # asyncio takes a float

    def configure_logging(self) -> None:
        """Warnings and errors to stderr, one line each; called by uvicorn in every process."""
        logs.configure(self.log_format)
        super().configure_logging()

    def load(self) -> None:
        """Choose the protocol class; here and not in the constructor, so that the supervisor stays light."""
        from labeld.server.http_protocol import limited_protocol  # noqa: PLC0415  # as the docstring says

        self.http = limited_protocol(self.limits)
        super().load()

    def load_app(self) -> Any:
        """Make the application."""
        return self.app_factory(self.address)


class LabeldServer(Server):
    """uvicorn's server with an orderly end: SIGTERM drains and the process ends with 0.

    A second SIGTERM changes nothing here, because systemd and process groups send the signal to the worker and to the
    supervisor, which passes it on: ending at once is the supervisor's decision, and it kills. SIGINT is ignored for
    the same reason: a terminal's Ctrl+C reaches both.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Listen to SIGTERM; unlike uvicorn, do not raise it again after the drain."""
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain."""
        del sig, frame
        self.should_exit = True
        stop_loading = getattr(self.config.loaded_app, "stop_loading", None)
        if stop_loading is not None:
            stop_loading()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in the connections that wait, close the listener, and drain."""
        for _ in range(2):  # NOTE: one turn of the loop accepts all that wait; closing the listener resets them
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def work(server: LabeldServer, sockets: list[socket.socket]) -> None:
    """Serve until told to stop; runs in the worker process. Raises SystemExit(STARTUP_FAILURE) if it cannot start."""
    gc.disable()  # there is no garbage among what is imported, and looking for it takes 25 ms
    memory.limit_arenas()
    threading.Thread(target=_follow_supervisor, name="orphan-watch", daemon=True).start()
    try:
        server.config.load()
    except LabeldError as error:
        logger.error("%s", error)  # noqa: TRY400  # its sentence says all
        raise SystemExit(STARTUP_FAILURE) from None
    except Exception:  # the boundary of the process
        logger.exception("The application could not be made.")
        raise SystemExit(STARTUP_FAILURE) from None
    gc.freeze()
    gc.enable()
    gc.set_threshold(COLLECT_AFTER)
    server.run(sockets)


def _follow_supervisor() -> None:
    """Without a supervisor drain briefly and end, so that no orphan holds the port."""
    supervisor = parent_process()
    assert supervisor is not None, "work() runs in a child of the supervisor"
    while os.getppid() == supervisor.pid:  # NOTE: other workers hold the pipe that would tell of its end
        time.sleep(ORPHAN_CHECK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_DRAIN)
    os._exit(1)
