"""The lifespan of the application: it starts while requests come, and the worker ends when it ends by itself.

uvicorn takes connections only when an application has started, and ignores it if its lifespan ends later. `ManagedApp`
stands between the two: a worker that may take connections at once passes requests on while the application starts,
which answers them as it can, and a lifespan that ends before uvicorn asks for it ends the worker.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum, auto
from typing import Any, Protocol

from labeld.server.uvicorn_internals import STARTUP_FAILURE
from labeld.system import memory
from labeld.system.disk import out_of_files

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LIFESPAN_ENDED = 70
"""Exit code of a worker whose application has ended by itself (EX_SOFTWARE)."""

logger = logging.getLogger("labeld")


class Stage(Enum):
    """Stages of an application's life; each leads only to those below it."""

    STARTING = auto()
    SERVING = auto()
    ENDED = auto()
    """It has failed to start, or its lifespan has ended."""


class Owner(Protocol):
    """The server of an application."""

    def ready(self) -> None:
        """The application has started."""

    def give_up(self, code: int) -> None:
        """The application cannot go on: the worker ends with this exit code."""


class ManagedApp:
    """An ASGI application around the one that is served; it lives on the worker's event loop.

    `at_once` says whether requests are taken while the application starts. `owner` is notified when it has started, and
    when it cannot go on.
    """

    def __init__(self, app: Any, owner: Owner, *, at_once: bool) -> None:
        self._app, self._owner, self._at_once = app, owner, at_once
        self._stage = Stage.STARTING
        self._start_over = asyncio.Event()
        self._stop_asked = False
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One request, or the lifespan. NOTE: no coroutine of its own, which every request would have to run."""
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        answer: Awaitable[None] = self._app(scope, receive, send)
        return answer

    @property
    def serving(self) -> bool:
        """Whether the application has started, and its lifespan has not ended."""
        return self._stage is Stage.SERVING

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self._start_over.set()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Both messages of uvicorn's lifespan, while the application's own runs beside."""
        self._to_app.put_nowait(await receive())
        lifespan = asyncio.create_task(self._run(scope))
        if not self._at_once:
            await self._start_over.wait()
            if self._stage is Stage.ENDED:
                await send({"type": "lifespan.startup.failed", "message": ""})
                return
        await send({"type": "lifespan.startup.complete"})
        stop = await receive()
        self._stop_asked = True
        self._to_app.put_nowait(stop)
        await lifespan
        await send({"type": "lifespan.shutdown.complete"})

    async def _run(self, scope: Scope) -> None:
        """The application's lifespan, and what its end means for the worker."""
        error: BaseException | None = None
        try:
            await self._app(scope, self._to_app.get, self._from_app)
        except asyncio.CancelledError:
            raise
        except BaseException as raised:  # noqa: BLE001  # some libraries raise what is no Exception
            error = raised
        started = self.serving
        self._enter(Stage.ENDED)
        if not started:
            if error is not None:
                _log_failure(error)
            self._owner.give_up(STARTUP_FAILURE)
        elif not self._stop_asked:
            logger.error("The application has ended by itself: this process gives up.", exc_info=error)
            self._owner.give_up(LIFESPAN_ENDED)
        elif error is not None:
            logger.error("The application failed while it closed.", exc_info=error)

    async def _from_app(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._enter(Stage.SERVING)
            self._owner.ready()
        elif message["type"] == "lifespan.startup.failed":
            logger.error("%s", message.get("message", ""))


def _log_failure(error: BaseException) -> None:
    """Why the application could not start: a limit of this process in a sentence, anything else with its traceback."""
    if memory.is_exhausted(error):
        logger.error("too little memory to start (ulimit -v or -u, or a control group's limit)")
    elif out_of_files(error):
        logger.error("too few file descriptors to start (ulimit -n)")
    else:
        logger.error("The application could not start.", exc_info=error)
