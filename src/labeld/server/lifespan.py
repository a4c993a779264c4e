"""The lifespan of the application: the answers while it starts, and the end of the worker when it ends by itself.

uvicorn takes connections only when an application has started, and ignores it if its lifespan ends later. `ManagedApp`
stands between the two: a worker that may take connections at once answers /health while the application starts, and
a lifespan that ends before uvicorn asks for it ends the worker.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum, auto
from typing import Any, Protocol

from labeld.error_reply import encode_error, request_id
from labeld.errors import UnavailableError
from labeld.server.uvicorn_internals import STARTUP_FAILURE

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LIFESPAN_ENDED = 70
"""Exit code of a worker whose application has ended by itself (EX_SOFTWARE)."""
HEALTH, READY = "/health", "/ready"
HEALTHY = b'{"status": "ok"}'
HEALTHY_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(HEALTHY))]
IS_STARTING = "This server is starting: try again in a moment."
IS_STOPPING = "This server is stopping: try again in a moment."

logger = logging.getLogger("labeld")


class Stage(Enum):
    """Stages of an application's life; each leads only to those below it."""

    STARTING = auto()
    SERVING = auto()
    LEAVING = auto()
    """It serves, and /ready says no, so that a load balancer sends no more."""
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

    `at_once` says whether requests are taken while the application starts; they wait for it up to `start_grace`
    seconds. `owner` is notified when the application has started, and when it cannot go on.
    """

    def __init__(self, app: Any, owner: Owner, *, at_once: bool, start_grace: float, root_path: str = "") -> None:
        self._app, self._owner, self._at_once, self._start_grace = app, owner, at_once, start_grace
        self._root_path = root_path
        self._stage = Stage.STARTING
        self.serving = False
        """True in the stage SERVING. NOTE: a plain attribute because each request reads it."""
        self._start_over = asyncio.Event()
        self._stop_asked = False
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One request, or the lifespan. NOTE: no coroutine of its own, which every request would have to run."""
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        answer: Awaitable[None] = (self._app if self.serving else self._not_serving)(scope, receive, send)
        return answer

    def leave(self) -> None:
        """From now on /ready is 503; everything else is answered as before."""
        self._enter(Stage.LEAVING)

    def _enter(self, stage: Stage) -> None:
        self._stage, self.serving = stage, stage is Stage.SERVING
        self._start_over.set()

    async def _not_serving(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(self._root_path)
        if self._stage is Stage.STARTING and path == HEALTH:
            await send({"type": "http.response.start", "status": 200, "headers": HEALTHY_HEADERS})
            await send({"type": "http.response.body", "body": HEALTHY})
            return
        if self._stage is Stage.STARTING and path != READY:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._start_over.wait(), self._start_grace)
        if self._stage is Stage.SERVING or (self._stage is Stage.LEAVING and path != READY):
            await self._app(scope, receive, send)
            return
        sentence = IS_STARTING if self._stage is Stage.STARTING else IS_STOPPING
        status, headers, body = encode_error(UnavailableError(sentence), request_id())
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

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
        started = self._stage in {Stage.SERVING, Stage.LEAVING}
        self._enter(Stage.ENDED)
        if not started:
            if error is not None:
                logger.error("The application could not start.", exc_info=error)
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
