"""Requests that come before the application's lifespan has opened everything, or after it has failed or ended.

They go through `App.__call__` as all others do, so their Host, their Origin, their ids, the counting and the log are
those of any request; only the router is another, so that no handler has to know that its service may not be there.
"""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from labeld.errors import UnavailableError
from labeld.web.dialects import LIVE, READY
from labeld.web.request_state import state_of

IS_STARTING = "This server is starting: try again in a moment."
IS_STOPPING = "This server is stopping: try again in a moment."


class StartRouter:
    """The router of an application that does not serve.

    While it starts the paths of LIVE are answered, those of READY are not, and any other request waits up to `grace`
    seconds for the start. Once it has failed or ended all are refused.
    """

    def __init__(self, health: ASGIApp, grace: float) -> None:
        self._health, self._grace = health, grace
        self._decided = asyncio.Event()
        self._router: ASGIApp = self._refuse
        self._sentence = IS_STARTING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; raises UnavailableError, and what the application's own router raises."""
        path = scope["path"].removeprefix(scope["root_path"])
        if path in LIVE and not self._decided.is_set():
            state_of(scope).route = path
            await self._health(scope, receive, send)
            return
        if path not in READY:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._decided.wait(), self._grace)
        await self._router(scope, receive, send)

    def started(self, router: ASGIApp) -> None:
        """From now on requests that wait are answered by the application's own router."""
        self._router = router
        self._decided.set()

    def ended(self) -> None:
        """From now on every request is refused."""
        self._router, self._sentence = self._refuse, IS_STOPPING
        self._decided.set()

    async def _refuse(self, *_: object) -> None:
        raise UnavailableError(self._sentence)
