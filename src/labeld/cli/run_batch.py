"""`labeld run-batch`: a file of requests in the batch shape of OpenAI and vLLM, answered by the server's application.

Each line is one request to a path of the HTTP API. It is answered in this process, by the same routes, dialects and
errors as a server's, and its answer is the line with its place in the output.
"""

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
import typer
from rich import progress
from rich.console import Console
from starlette.types import Message

from labeld.classifier import UNBOUNDED
from labeld.config.settings import Settings
from labeld.error_reply import request_id
from labeld.errors import InvalidRequestError, SettingsError
from labeld.metrics.prometheus import Metrics
from labeld.service.build import LIBRARY, open_authenticator, open_service
from labeld.web.app import App
from labeld.web.hosting import AppHosting

IN_FLIGHT = 64
"""Requests that are answered at a time."""
SOME_FAILED = 3
"""Exit code where every line has its answer, but some of these are errors."""
HEADERS = {"content-type": "application/json", "x-wait-for-model": "true"}
"""Of each request: a model that has to be loaded is waited for."""
NO_TOKENS = "/dev/null/tokens.sqlite3"
"""Where no access token can be: whoever runs the command may ask what it asks."""


class WrongLineError(InvalidRequestError):
    """A line is no request; the sentence says why."""


def run_batch(source: Path, target: Path, settings: Settings, *, overwrite: bool) -> int:
    """Answers the requests of a file in their order, says how many, and returns the exit code; raises LabeldError."""
    if target.is_dir() or (target.exists() and not overwrite):
        raise SettingsError(f"{target} exists: name another file with -o, or replace it with --overwrite.")
    unfinished = target.with_name(f"{target.name}.partial")
    try:
        with source.open("rb") as lines, unfinished.open("wb") as out, _bar(source) as answered:
            failed, count = asyncio.run(_answer_all(lines, out, settings, answered))
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        is_source = str(error.filename) == str(source)
        what = f"{source} cannot be read" if is_source else f"{target} cannot be written"
        raise SettingsError(f"{what}: {error.strerror}.") from error
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    more = f", {failed:,} of them with an error" if failed else ""
    typer.echo(f"{count:,} requests are answered in {target}{more}.", err=True)
    return SOME_FAILED if failed else 0


async def _answer_all(
    lines: BinaryIO, out: BinaryIO, settings: Settings, answered: Callable[[int], None]
) -> tuple[int, int]:
    """Writes an answer for each line; how many have failed, and how many there are."""
    failed = count = 0
    waiting: deque[tuple[int, asyncio.Task[dict[str, Any]]]] = deque()

    async def write_first() -> None:
        nonlocal failed
        size, task = waiting.popleft()
        answer = await task
        failed += answer["error"] is not None or answer["response"]["status_code"] >= 400
        out.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        answered(size)

    async with (
        _started(settings) as app,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://localhost", timeout=None, headers=HEADERS
        ) as client,
    ):
        try:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                count += 1
                waiting.append((len(line), asyncio.create_task(_answer(client, number, line))))
                while len(waiting) >= IN_FLIGHT:
                    await write_first()
            while waiting:
                await write_first()
        finally:
            for _, task in waiting:
                task.cancel()
    return failed, count


async def _answer(client: httpx2.AsyncClient, number: int, line: bytes) -> dict[str, Any]:
    """The line of the output for a line of the input."""
    given: dict[str, Any] = {}
    try:
        given = _parsed(line, number)
        reply = await client.post(_path(given, number), content=json.dumps(given["body"]))
    except WrongLineError as error:
        failure = {"code": "invalid_request", "message": str(error)}
        return _answered(given, request_id(), None, failure)
    made = reply.headers.get("x-request-id", "")
    response = {"status_code": reply.status_code, "request_id": made, "body": reply.json() if reply.content else None}
    return _answered(given, made, response, None)


def _answered(
    given: dict[str, Any], made: str, response: dict[str, Any] | None, error: dict[str, str] | None
) -> dict[str, Any]:
    custom_id = given.get("custom_id")
    return {"id": f"batch_req_{made}", "custom_id": custom_id, "response": response, "error": error}


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise WrongLineError(f'Line {number} is no JSON object: write {{"custom_id": …, "method": …, "url": …, …}}.')
    return given


def _path(given: dict[str, Any], number: int) -> str:
    """The path of a request's URL; raises WrongLineError where the line is no request to this application."""
    if given.get("method", "POST") != "POST":
        raise WrongLineError(f"The method of line {number} is {given['method']!r}, but must be POST.")
    if not isinstance(given.get("url"), str) or not given["url"].strip():
        raise WrongLineError(f'Line {number} has no "url": write a path of the HTTP API, such as /v1/moderations.')
    if "body" not in given:
        raise WrongLineError(f'Line {number} has no "body": write the JSON that the path takes.')
    try:
        return urlsplit(given["url"]).path or "/"
    except ValueError:
        raise WrongLineError(f'The "url" of line {number} is no URL: write a path, such as /v1/moderations.') from None


@asynccontextmanager
async def _started(settings: Settings) -> AsyncIterator[App]:
    """The application of a server without a network, for as long as the context lasts; raises SettingsError."""
    settings = replace(settings, queue=UNBOUNDED, access=replace(settings.access, tokens_db=NO_TOKENS))
    hosting = AppHosting(partial(open_service, hosting=LIBRARY), open_authenticator, Metrics())
    app = App(settings, hosting)
    ending, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Message:
        kind = next(messages)
        if kind == "lifespan.shutdown":
            await ending.wait()
        return {"type": kind}

    async def send(message: Message) -> None:
        if not started.done():
            started.set_result(message)

    life = asyncio.create_task(app({"type": "lifespan"}, receive, send))
    await asyncio.wait([life, started], return_when=asyncio.FIRST_COMPLETED)
    if not started.done() or started.result()["type"] != "lifespan.startup.complete":
        await life
        raise SettingsError(str(started.result().get("message", "The application cannot start.")))
    try:
        yield app
    finally:
        ending.set()
        await life


@contextmanager
def _bar(source: Path) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[requests]:,} requests"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=source.stat().st_size or None, requests=0)
        requests = 0

        def answered(size: int) -> None:
            nonlocal requests
            requests += 1
            bar.update(task, advance=size, requests=requests)

        yield answered
