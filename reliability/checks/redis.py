"""Redis: it is paused, stopped and started again under a server that keeps answers there, and nobody notices.

The seeded fault waits for Redis as long as it takes.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import requests

from benchmarks.lib.known import Scores
from benchmarks.lib.report import Figure
from reliability.lib.models import known, tiny_models
from reliability.lib.outcomes import outcome
from reliability.lib.redis import RedisServer, redis_server
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.server_process import Server, wait_until
from tests.support.tiny_models import WORDS

FULL = 50
OUT = 4.0
"""Seconds of one outage, in the middle of which Redis is also started anew now and then."""
MODEL = "org/bert"
TEXTS = 60
SECRET = {"LABELD_CACHE_SECRET": "a secret of the test"}
BACK_WITHIN = 60.0
"""Seconds: a pause after many failures lasts half of it."""
BAR_SECONDS = 2.0
WAYS = ("paused", "stopped", "restarted")


def check(run: Run) -> list[Figure]:
    """Texts that are new and known ones are asked all the time; afterwards Redis is given answers again."""
    with redis_server(run.folder) as shared:
        if shared is None:
            return [Figure("redis", "Redis is not installed: left out", 0, "")]
        models, dice = tiny_models(run.folder), random.Random(8)
        texts = [" ".join(dice.choices(WORDS, k=12)) for _ in range(TEXTS)]
        asked = _questions(texts, known(models, texts, [MODEL])[MODEL])
        counts, slowest, back, rounds, first = Counter[str](), 0.0, 0, 0, ""
        flags = (MODEL, "--models-dir", str(models), "--cache", shared.url, "--cache-bytes", "0")
        with serving(run, *flags, variables=SECRET) as server:
            for number in run.rounds(FULL, least=len(WAYS)):
                rounds += 1
                way = WAYS[number % len(WAYS)]
                _begin(shared, way)
                end = time.monotonic() + OUT
                while (began := time.monotonic()) < end:
                    found = _ask(server, *next(asked))
                    slowest = max(slowest, time.monotonic() - began)
                    counts["right" if found == "right" else "other"] += 1
                    first = first or ("" if found == "right" else f"{way}: {found}")
                _end(shared, way)
                back += wait_until(lambda: _is_used(server, shared, asked), BACK_WITHIN)
    return [
        Figure("redis", f"{rounds} outages: right answers", counts["right"], "", 10 * rounds, "at least"),
        Figure("redis", "other answers, errors", counts["other"], "", 0, detail={"first": first} if first else {}),
        Figure("redis", "slowest answer", slowest, "s", BAR_SECONDS),
        Figure("redis", "outages after which it is used again", back, "", rounds, "at least"),
    ]


Question = tuple[str, Sequence[Scores]]
"""A text, and the scores of its answer."""


def _questions(texts: Sequence[str], answers: Sequence[Scores]) -> Iterator[Question]:
    """Again and again, so that some are in Redis."""
    while True:
        for text, scores in zip(texts, answers, strict=True):
            yield text, [scores]


def _begin(shared: RedisServer, way: str) -> None:
    if way == "paused":
        shared.pause()
        return
    shared.stop()
    if way == "restarted":
        shared.start()


def _end(shared: RedisServer, way: str) -> None:
    if way == "paused":
        shared.go_on()
    elif way == "stopped":
        shared.start()


def _ask(server: Server, text: str, scores: Sequence[Scores]) -> str:
    try:
        reply = requests.post(f"{server.url}/models/{MODEL}", json={"inputs": [text]}, timeout=60)
    except requests.RequestException as error:
        return type(error).__name__
    return outcome(reply, [scores])


def _is_used(server: Server, shared: RedisServer, asked: Iterator[Question]) -> bool:
    """Whether Redis, of which everything is forgotten first, is given an answer."""
    shared.forget()
    _ask(server, *next(asked))
    return wait_until(lambda: bool(shared.keys()), 1.0)
