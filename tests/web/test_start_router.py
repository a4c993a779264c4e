"""The application before its lifespan has opened everything, and when it leaves: as strict, and as open, as ever."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from labeld.config.load import load
from labeld.config.settings import Settings
from labeld.errors import FolderError
from labeld.metrics.prometheus import Metrics
from labeld.service.build import open_authenticator, open_service
from labeld.service.service import Service
from labeld.web.app import App
from labeld.web.hosting import AppHosting
from tests.support.raw_http import raw
from tests.support.server_process import serving, wait_until

PAGE = "https://page.example"
FROM_PAGE = {"origin": PAGE, "sec-fetch-site": "cross-site"}
CLASSIFY = {"inputs": "good"}


class Starting:
    """An application whose models are loaded when `go` is set, and its client."""

    def __init__(self, tmp_path: Path, **given: Any) -> None:
        places = {"cache_dir": str(tmp_path), "tokens_db": str(tmp_path / "tokens.sqlite3"), "hub": "off"}
        settings = load({**places, "origins": PAGE, "log_format": "json", "root_path": "/labeld", **given}, {})
        self.go, self.metrics, self.fails = asyncio.Event(), Metrics(), False

        @asynccontextmanager
        async def late(settings: Settings) -> AsyncIterator[Service]:
            await self.go.wait()
            if self.fails:
                raise FolderError("No model is there.")
            async with open_service(settings) as service:
                yield service

        self._lifespan: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.app = App(settings, AppHosting(late, open_authenticator, self.metrics))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost/labeld")

    async def run(self) -> None:
        """Its lifespan."""
        self._lifespan.put_nowait({"type": "lifespan.startup"})
        await self.app({"type": "lifespan"}, self._lifespan.get, self.said.put)  # type: ignore[arg-type]  # a dict

    def stop(self) -> None:
        """Ends the lifespan."""
        self._lifespan.put_nowait({"type": "lifespan.shutdown"})


def while_starting(story: Callable[[Starting], Awaitable[None]], tmp_path: Path, **given: Any) -> None:
    """Runs a story with an application that starts, which ends afterwards."""

    async def run() -> None:
        starting = Starting(tmp_path, **given)
        lifespan = asyncio.create_task(starting.run())
        await asyncio.sleep(0)
        async with starting.client:
            await story(starting)
        starting.go.set()
        starting.stop()
        await lifespan

    asyncio.run(run())


def readable(reply: httpx.Response) -> bool:
    """Whether a page of the named site may read it."""
    return reply.headers.get("access-control-allow-origin") == PAGE


def test_alive_but_not_ready(tmp_path: Path) -> None:
    """/health is 200 and /ready 503 at once, and both are 200 afterwards; a page of a named site sees so."""

    async def story(server: Starting) -> None:
        began = time.monotonic()
        health = await server.client.get("/health", headers=FROM_PAGE)
        ready = await server.client.get("/ready", headers=FROM_PAGE)
        assert time.monotonic() - began < 10
        assert (200, {"status": "ok"}, True) == (health.status_code, health.json(), readable(health))
        assert (503, "1", True) == (ready.status_code, ready.headers["retry-after"], readable(ready))
        assert "starting" in ready.json()["error"]
        server.go.set()
        await server.said.get()
        assert 200 == (await server.client.get("/ready")).status_code

    while_starting(story, tmp_path, load_grace="30")


def test_a_request_waits_for_the_start(tmp_path: Path) -> None:
    """It is answered as soon as the models are there."""

    async def story(server: Starting) -> None:
        early = asyncio.create_task(server.client.post("/", json=CLASSIFY, headers=FROM_PAGE))
        await asyncio.sleep(0.3)
        assert not early.done()
        server.go.set()
        reply = await early
        assert (200, "POSITIVE", True) == (reply.status_code, reply.json()[0][0]["label"], readable(reply))

    while_starting(story, tmp_path, load_grace="60")


def test_nobody_waits_for_long(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the grace it is 503 with the fields of any reply, its id, a line of the log, and a count."""

    async def story(server: Starting) -> None:
        began = time.monotonic()
        reply = await server.client.post("/", json=CLASSIFY, headers={**FROM_PAGE, "x-request-id": "early-1"})
        assert 0.2 < time.monotonic() - began < 10
        assert (503, "1", "early-1") == (
            reply.status_code,
            reply.headers["retry-after"],
            reply.headers["x-request-id"],
        )
        assert readable(reply)
        page = await server.client.get("/status", headers={"accept": "text/html"})
        assert (503, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
        assert 'labeld_requests_total{route="",status="503"} 2.0' in server.metrics.exposition().decode()

    caplog.set_level(logging.INFO, "labeld.requests")
    while_starting(story, tmp_path, load_grace="0.3")
    fields: dict[str, Any] = caplog.records[0].fields  # type: ignore[attr-defined]  # given as extra

    assert ("early-1", "POST", 503) == (fields["request_id"], fields["method"], fields["status"])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/health", {"host": "evil.example"}, 403),
        ("/ready", {"host": "evil.example"}, 403),
        ("/", {"host": "evil.example"}, 403),
        ("/", {"host": "no host"}, 400),
        ("/health", {"origin": "https://evil.example"}, 403),
        ("/", {"origin": "https://evil.example"}, 403),
    ],
)
def test_others_are_refused_as_ever(tmp_path: Path, path: str, headers: dict[str, str], status: int) -> None:
    """A foreign Host or Origin is refused at once, also of a server that has not started."""

    async def story(server: Starting) -> None:
        began = time.monotonic()
        reply = await server.client.get(path, headers=headers)
        assert (status, False) == (reply.status_code, readable(reply))
        assert time.monotonic() - began < 10

    while_starting(story, tmp_path, load_grace="30")


def test_a_browser_may_ask_whether_it_may_ask(tmp_path: Path) -> None:
    """A preflight is answered at once."""

    async def story(server: Starting) -> None:
        reply = await server.client.options("/", headers={**FROM_PAGE, "access-control-request-method": "POST"})
        assert (204, True) == (reply.status_code, readable(reply))

    while_starting(story, tmp_path, load_grace="30")


def test_a_start_that_fails(tmp_path: Path) -> None:
    """Who waits is refused, and so is everybody else until the process ends, /health too."""

    async def story(server: Starting) -> None:
        server.fails = True
        early = asyncio.create_task(server.client.post("/", json=CLASSIFY))
        await asyncio.sleep(0.1)
        server.go.set()
        assert "lifespan.startup.failed" == (await server.said.get())["type"]
        late = [await server.client.get(path, headers=FROM_PAGE) for path in ("/health", "/ready", "/info")]

        assert [503] * 4 == [one.status_code for one in (await early, *late)]
        assert all("stopping" in one.json()["error"] for one in (await early, *late[2:]))
        assert all(map(readable, late))

    while_starting(story, tmp_path, load_grace="60")


def test_a_server_that_leaves(tmp_path: Path) -> None:
    """In the delay before its drain /ready is 503, readable for pages of a named site, and the rest is answered."""
    with serving(tmp_path, "--origins", PAGE, "--drain-delay", "5", "--log-format", "json") as server:
        named = ("host: localhost", f"origin: {PAGE}")
        assert 200 == raw(server, "GET /ready", *named).status
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: raw(server, "GET /ready", *named).status == 503, 4)
        reply = raw(server, "GET /ready", *named, "x-request-id: leaving-1")

        assert (PAGE, "leaving-1", "1") == tuple(
            reply.headers[name] for name in ("access-control-allow-origin", "x-request-id", "retry-after")
        )
        assert 403 == raw(server, "GET /ready", "host: evil.example").status
        assert 200 == raw(server, "POST /", *named, body=b'{"inputs": "good"}').status
        assert 0 == server.process.wait(timeout=30)
        assert '"request_id": "leaving-1", "method": "GET", "route": "/ready"' in server.log.read_text()
