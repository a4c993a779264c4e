"""labeld's application in this process, asked without a socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote

from labeld.config.settings import Settings
from labeld.metrics.prometheus import Metrics
from labeld.service.build import open_authenticator, open_service
from labeld.web.app import App
from labeld.web.hosting import AppHosting
from reliability.lib.inputs import Input

ANSWERS_WITHIN = 30.0
"""Seconds after which a request counts as hung."""


class Reply(NamedTuple):
    """All that the application sent."""

    status: int
    """0 where it sent nothing."""
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    is_whole: bool
    """Whether it began once and ended once."""


class Application:
    """The application, whose lifespan has started."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def ask(self, asked: Input) -> Reply:
        """The reply to an input; raises TimeoutError, and whatever the application lets out."""
        path, _, query = asked.target.partition("?")
        messages = [
            {"type": "http.request", "body": part, "more_body": number < len(asked.parts) - 1}
            for number, part in enumerate(asked.parts)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await asyncio.sleep(ANSWERS_WITHIN)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in asked.headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        async with asyncio.timeout(ANSWERS_WITHIN):
            await self._app(scope, receive, send)
        return _reply(sent)


def _reply(sent: list[Any]) -> Reply:
    starts = [one for one in sent if one["type"] == "http.response.start"]
    bodies = [one for one in sent if one["type"] == "http.response.body"]
    if not starts:
        return Reply(0, (), b"", is_whole=False)
    ends = sum(not one.get("more_body", False) for one in bodies)
    body = b"".join(one.get("body", b"") for one in bodies)
    return Reply(starts[0]["status"], starts[0]["headers"], body, is_whole=len(starts) == 1 and ends == 1)


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Application]:
    """The application of these settings, which ends with the context; raises RuntimeError where it does not start."""
    app = App(settings, AppHosting(open_service, open_authenticator, Metrics()))
    said: asyncio.Queue[Any] = asyncio.Queue()
    tell: asyncio.Queue[Any] = asyncio.Queue()
    tell.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(app({"type": "lifespan"}, tell.get, said.put))
    message = await said.get()
    if message["type"] != "lifespan.startup.complete":
        raise RuntimeError(message)
    try:
        yield Application(app)
    finally:
        tell.put_nowait({"type": "lifespan.shutdown"})
        await life
