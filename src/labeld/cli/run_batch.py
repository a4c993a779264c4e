"""`labeld run-batch`: a file of requests in the batch shape of OpenAI and vLLM, answered by the server's application.

Each line is one request to a path of the HTTP API. It is answered in this process, by the same routes, dialects and
errors as a server's, and its answer is the line with its place in the output.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import httpx2
import typer
from rich import progress
from rich.console import Console
from starlette.types import Message

from labeld.classifier import UNBOUNDED
from labeld.cli.batch_lines import CustomIds, Lines, WrongLineError, parsed
from labeld.cli.resumable import stopped
from labeld.config.settings import Settings
from labeld.error_reply import request_id
from labeld.errors import SettingsError
from labeld.files.beginning import require_text
from labeld.files.earlier_runs import completed, require_apart, require_free
from labeld.files.formats import STANDARD_INPUT, Format, compression_of, find_files
from labeld.files.journal import Done, JournaledFile, state
from labeld.files.streams import is_read_once, known_size, open_stream
from labeld.metrics.prometheus import Metrics
from labeld.service.build import LIBRARY, open_authenticator, open_service
from labeld.system.links import followed
from labeld.web.app import App
from labeld.web.hosting import AppHosting

IN_FLIGHT = 64
"""Requests that are answered at a time, at least; so many answers are written together."""
SOME_FAILED = 3
"""Exit code where every line has its answer, but some of these are errors."""
HEADERS = {"content-type": "application/json", "x-wait-for-model": "true"}
"""Of each request: a model that has to be loaded is waited for."""
ORIGIN = "http://localhost"
NO_TOKENS = "/dev/null/tokens.sqlite3"
"""Where no access token can be: whoever runs the command may ask what it asks."""


Asked = tuple[int, int, asyncio.Task[dict[str, Any]]]
"""The number of a line, the position of its end in the file, and its answer to come."""


def run_batch(source: str, target: Path, settings: Settings, *, overwrite: bool, resume: bool) -> int:
    """Answers the requests of a file in their order, says how many, and returns the exit code; raises LabeldError."""
    if str(target) == STANDARD_INPUT:
        raise SettingsError("The answers need a file, so that a run can go on: name one with --output-file.")
    target = followed(target)
    require_free(target, overwrite=overwrite, resume=resume)
    found = find_files([source])
    if len(found) > 1:
        raise SettingsError(f"{source} names {len(found)} files: take one at a time.")
    read = found[0]
    require_apart(target, [read])
    if resume and is_read_once(read):
        raise SettingsError(f"{read} cannot be read again from where a run has ended: give a file instead.")
    stopping = Event()
    try:
        with open_stream(read, compression_of(read), stopping) as lines, _bar(read) as answered:
            require_text(read, lines, Format("jsonl", None))
            run = _run(read, settings)
            if resume and (done := completed(target, run)):
                typer.echo(f"{target} is complete.", err=True)
                return SOME_FAILED if done.bad else 0
            out = JournaledFile(target, run, overwrite=overwrite)
            asyncio.run(_answer_all(Lines(read, lines, stopping), out, settings, answered))
    except KeyboardInterrupt:
        stopped(may_resume=not is_read_once(read))
    done = out.done
    more = f", {done.bad:,} of them with an error" if done.bad else ""
    what = "1 request is" if done.rows == 1 else f"{done.rows:,} requests are"
    typer.echo(f"{what} answered in {target}{more}.", err=True)
    return SOME_FAILED if done.bad else 0


def _run(source: str, settings: Settings) -> dict[str, Any]:
    """What makes two runs the same, so that one can go on with the other's output."""
    return {
        "inputs": [] if is_read_once(source) else state(source),
        "model": [*settings.folders.models],
        "precision": settings.precisions.precision,
        "options": sha256(repr(settings.file).encode()).hexdigest(),
    }


async def _answer_all(lines: Lines, out: JournaledFile, settings: Settings, answered: Callable[[Done], None]) -> None:
    """Writes an answer for each line that has none yet."""
    waiting: deque[Asked] = deque()
    async with (
        _started(settings) as app,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url=ORIGIN, timeout=None, headers=HEADERS
        ) as client,
    ):
        with out:
            number, position = out.done.parts, out.done.size
            answered(out.done)
            try:
                ids = await asyncio.to_thread(lines.ids_before, position)
                while (read := await asyncio.to_thread(lines.next)) is not None:
                    line, size = read
                    number, position = number + 1, position + size
                    if line is None or line.strip():
                        waiting.append((number, position, asyncio.create_task(_answer(client, number, line, ids))))
                    if len(waiting) >= 2 * IN_FLIGHT:
                        await _write(out, [*islice(waiting, IN_FLIGHT)], answered)
                        for _ in range(IN_FLIGHT):
                            waiting.popleft()
                await _write(out, waiting, answered)
            finally:
                lines.stop()
                for _, _, task in waiting:
                    task.cancel()
            out.complete()


async def _write(out: JournaledFile, asked: Iterable[Asked], answered: Callable[[Done], None]) -> None:
    """Writes the answers to some lines to the disk."""
    before, number, position = out.done, out.done.parts, out.done.size
    answers: list[dict[str, Any]] = []
    for number, position, task in asked:  # noqa: B007  # those of the last one count
        answers.append(await asyncio.shield(task))  # or Ctrl-C would end the task instead, with an answer of its own
    data = b"".join(json.dumps(one, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n" for one in answers)
    failed = sum(map(_has_failed, answers))
    out.append(data, b"", Done(before.run, number - before.parts, len(answers), failed, position - before.size))
    answered(out.done)


def _has_failed(answer: dict[str, Any]) -> bool:
    return bool(answer["error"] is not None or answer["response"]["status_code"] >= 400)


async def _answer(client: httpx2.AsyncClient, number: int, line: bytes | None, ids: CustomIds) -> dict[str, Any]:
    """The line of the output for a line of the input; `ids` has those of the lines before, and gets its own."""
    given: dict[str, Any] = {}
    try:
        given = parsed(line, number)
        ids.require_new(given, number)
        reply = await client.send(_request(client, given, number))
    except WrongLineError as error:
        failure = {"code": "invalid_request", "message": str(error)}
        return _answered(given or {"custom_id": error.custom_id}, request_id(), None, failure)
    made = reply.headers.get("x-request-id", "")
    response = {"status_code": reply.status_code, "request_id": made, "body": _body(reply)}
    return _answered(given, made, response, None)


def _answered(
    given: dict[str, Any], made: str, response: dict[str, Any] | None, error: dict[str, str] | None
) -> dict[str, Any]:
    custom_id = given.get("custom_id")
    return {"id": f"batch_req_{made}", "custom_id": custom_id, "response": response, "error": error}


def _body(reply: httpx2.Response) -> Any:
    """The JSON of a reply; the text of one that is none."""
    try:
        return reply.json() if reply.content else None
    except ValueError:
        return reply.text


def _request(client: httpx2.AsyncClient, given: dict[str, Any], number: int) -> httpx2.Request:
    """The request of a line; raises WrongLineError where it is none to this application."""
    if given.get("method", "POST") != "POST":
        raise WrongLineError(f"The method of line {number} is {given['method']!r}, but must be POST.")
    if not isinstance(given.get("url"), str) or not given["url"].strip():
        raise WrongLineError(f'Line {number} has no "url": write a path of the HTTP API, such as /v1/moderations.')
    if "body" not in given:
        raise WrongLineError(f'Line {number} has no "body": write the JSON that the path takes.')
    try:
        return client.build_request("POST", ORIGIN + _path(given["url"]), content=json.dumps(given["body"]))
    except RecursionError:
        raise WrongLineError(f'The "body" of line {number} is nested too deep: send what the path takes.') from None
    except (ValueError, httpx2.InvalidURL):
        raise WrongLineError(f'The "url" of line {number} is no URL: write a path, such as /v1/moderations.') from None


def _path(url: str) -> str:
    """The path of a URL, or of what is a path alone, whose slashes are the server's to read."""
    path = url.partition("?")[0].partition("#")[0] if url.startswith("/") else urlsplit(url).path
    return path if path.startswith("/") else f"/{path}"


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
def _bar(source: str) -> Iterator[Callable[[Done], None]]:
    """A bar on standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = (
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[requests]:,} requests"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=known_size(source, compression_of(source)), requests=0)

        def answered(done: Done) -> None:
            bar.update(task, completed=done.size, requests=done.rows)

        yield answered
