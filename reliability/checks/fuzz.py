"""Fuzz: whatever is asked in any dialect is answered as it is documented, in this process and over sockets.

The seeded fault fails on a NUL.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.lib.report import Figure
from labeld.config.load import load
from reliability.lib.application import Application, Reply, started
from reliability.lib.grammar import Grammar
from reliability.lib.inputs import Input
from reliability.lib.judge import Judge, Verdicts, signature
from reliability.lib.models import tiny_models
from reliability.lib.run import Run
from reliability.lib.server import serving
from reliability.lib.sockets import send_all

FULL, FULL_OVER_SOCKETS = 5_000_000, 500_000
LEAST, LEAST_OVER_SOCKETS = 2000, 300
AT_ONCE = 64
"""Requests on the application's loop at the same time."""
CORPUS = Path(__file__).parents[1] / "corpus" / "fuzz.jsonl"
KEPT_BYTES = 1500
"""Of an input in the corpus, at most."""
SEED = 17
KINDS = {
    "status": "statuses that are not documented",
    "traceback": "failures of our own",
    "shape": "replies that are no JSON of their dialect",
    "broken": "replies that are not whole",
    "inner words": "replies with a path or a library's words",
    "hung": "requests without an answer",
}


class Found(NamedTuple):
    """The outcome of many inputs."""

    asked: int
    statuses: int
    """Different ones."""
    verdicts: Verdicts


class _Failures(logging.Handler):
    """Counts what is logged with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        self.count += bool(record.exc_info)


def check(run: Run) -> list[Figure]:
    """Millions of inputs to the application, and a tenth of that to a server."""
    models = tiny_models(run.folder)
    inside = asyncio.run(_inside(run, models))
    figures = _figures("in process", inside)
    with serving(run, "org/bert", "--models-dir", str(models)) as server:
        pids = server.get("/status").json()["pid"]
        grammar = _grammar(SEED + 1)
        numbers = run.rounds(FULL_OVER_SOCKETS, LEAST_OVER_SOCKETS, part=0.25)
        outside = Found(*send_all(server.address, (grammar() for _ in numbers), Judge()))
        is_alive = server.get("/status").json()["pid"] == pids
    figures += _figures("over sockets", outside)
    return [*figures, Figure("fuzz", "over sockets: the same worker at the end", float(is_alive), "", 1, "at least")]


def _figures(where: str, found: Found) -> list[Figure]:
    first = found.verdicts.first
    least = LEAST if where == "in process" else LEAST_OVER_SOCKETS
    detail = {"statuses": found.statuses}
    return [
        Figure("fuzz", f"{where}: requests", found.asked, "", least, "at least", detail),
        *(
            Figure("fuzz", f"{where}: {name}", count, "", 0, detail={"first": first[kind]} if count else {})
            for kind, name in KINDS.items()
            for count in [found.verdicts.counts[kind]]
        ),
    ]


def _grammar(seed: int) -> Grammar:
    from tests.support.dialect_bodies import BODIES  # noqa: PLC0415  # torch, which takes seconds

    return Grammar(seed, BODIES)


async def _inside(run: Run, models: Path) -> Found:
    corpus = read_corpus()
    async with application(models, run.folder) as asked:
        grammar, known = _grammar(SEED), dict[str, Input]()
        numbers = run.rounds(FULL, LEAST, part=0.75)
        every = (corpus[number] if number < len(corpus) else grammar() for number in numbers)
        found = await ask_all(asked, every, known)
    if run.keep:
        CORPUS.write_text("".join(f"{one.as_json()}\n" for _, one in sorted(known.items())), encoding="ascii")
    return found


def _keep(known: dict[str, Input], name: str, one: Input) -> None:
    """Keeps the smallest input of each signature, unless it is large."""
    size = len(one.as_bytes())
    if size <= KEPT_BYTES and (name not in known or size < len(known[name].as_bytes())):
        known[name] = one


def read_corpus() -> list[Input]:
    """The inputs that were interesting once."""
    return [Input.from_json(line) for line in CORPUS.read_text(encoding="ascii").splitlines()]


@asynccontextmanager
async def application(models: Path, folder: Path) -> AsyncIterator[Application]:
    """The application that inputs are made for."""
    places = {"models_dir": str(models), "cache_dir": str(folder), "tokens_db": str(folder / "tokens.sqlite3")}
    async with started(load({**places, "models": "org/bert", "hub": "off"}, {})) as running:
        yield running


async def ask_all(asked: Application, inputs: Iterable[Input], known: dict[str, Input]) -> Found:
    """The outcome of these inputs, some at the same time; `known` gets one input of each signature."""
    judge, verdicts, statuses, count = Judge(), Verdicts(), set[int](), 0
    failures = _Failures()
    every = iter(inputs)
    loggers = [logging.getLogger(), logging.getLogger("labeld")]

    async def client() -> None:
        nonlocal count
        for one in every:
            count += 1
            before = failures.count
            try:
                reply = await asked.ask(one)
            except TimeoutError:
                verdicts.note(iter(["hung"]), one)
                continue
            except Exception:  # noqa: BLE001  # what the application lets out
                reply = Reply(0, (), b"", is_whole=False)
            statuses.add(reply.status)
            wrong = verdicts.note(judge.wrong(one, reply), one)
            if failures.count > before and "traceback" not in wrong:
                verdicts.note(iter(["traceback"]), one)
            _keep(known, signature(one, reply), one)

    for logger in loggers:
        logger.addHandler(failures)
    try:
        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    finally:
        for logger in loggers:
            logger.removeHandler(failures)
    return Found(count, len(statuses), verdicts)
