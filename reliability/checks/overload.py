"""Overload: ten times the capacity, and the accepted are answered, the others refused at once, and then all is well.

The seeded fault leaves Retry-After out.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.lib import open_loop
from benchmarks.lib.known import known_scores
from benchmarks.lib.report import Figure
from labeld.repository.folders import BUNDLED
from reliability.lib.questions import body_of
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.server_process import Server
from tests.support.steady_clients import post, settled, steady_clients

MODEL = "labeld/sentiment-en"
TEXTS = tuple(f"{word} " * 100 for word in ("good", "bad", "film", "day", "the", "not"))
"""Long enough that the server is what is slow, and not the client beside it."""
TIMES = 10.0
FULL_SECONDS = 300
CAPACITY_SECONDS = 4.0
CLIENTS = 16
BAR_GOODPUT, BAR_REFUSAL_MS, BAR_RECOVERY = 0.9, 50.0, 3.0
HEADERS = {**open_loop.JSON_HEADERS, "X-Use-Cache": "false"}


def check(run: Run) -> list[Figure]:
    """The capacity of a closed loop, and then an open one of ten times that."""
    asked = _questions()
    with serving(run, MODEL) as server:
        capacity = _capacity(server, asked)
        seconds = max(4.0, min(FULL_SECONDS * run.minutes / 60, run.seconds / 2))
        bodies = [json.dumps({"inputs": text}).encode() for text in TEXTS]
        path, port = f"/models/{MODEL}", server.address[1]
        done = open_loop.run(port, path, bodies, TIMES * capacity, seconds, headers=HEADERS)
        with steady_clients([server.address], asked, clients=1) as seen:
            settled(seen, 3, 30.0)
    last = max(one.ended for one in done.answers) - seconds
    silent = sum(not one.retry_after for one in done.refused)
    detail = {"capacity_per_s": capacity, "refused": len(done.refused), "of": len(done.answers), "seconds": seconds}
    void = {} if done.on_time else {"VOID": f"the generator left {done.lateness_ms:.1f} ms late"}
    return [
        Figure("overload", "refusals", len(done.refused), "", 1, "at least", detail),
        Figure("overload", "goodput / capacity", done.goodput() / capacity, "", BAR_GOODPUT, "at least", void),
        Figure("overload", "p99 of the refused", done.refusal_ms(99), "ms", BAR_REFUSAL_MS, detail=void),
        Figure("overload", "refusals without Retry-After", silent, "", 0),
        Figure("overload", "neither answered nor refused", done.errors, "", 0),
        Figure("overload", "from the last arrival to the last answer", max(0.0, last), "s", BAR_RECOVERY),
        Figure("overload", "wrong answers afterwards", seen.wrong + sum(seen.failed.values()), "", 0),
    ]


def _questions() -> Mapping[bytes, bytes]:
    folder: Path = BUNDLED / MODEL
    answers = known_scores(folder, list(TEXTS))
    requests = [post(f"/models/{MODEL}", text, use_cache=False) for text in TEXTS]
    return {request: body_of(scores) for request, scores in zip(requests, answers, strict=True)}


def _capacity(server: Server, asked: Mapping[bytes, bytes]) -> float:
    """Answers per second of clients that wait for theirs."""
    with steady_clients([server.address], asked, CLIENTS) as seen:
        settled(seen, CLIENTS, 60.0)
        before, began = seen.right, time.monotonic()
        time.sleep(CAPACITY_SECONDS)
        rate = (seen.right - before) / (time.monotonic() - began)
    return max(rate, 1.0)
