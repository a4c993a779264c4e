"""Overload: ten times the capacity, and the accepted are answered, the others refused at once, and then all is well.

The seeded fault leaves Retry-After out.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lib import open_loop
from benchmarks.lib.known import known_scores
from benchmarks.lib.report import Figure
from labeld.repository.folders import BUNDLED
from reliability.lib.cores import Cores, seconds_of
from reliability.lib.questions import body_of
from reliability.lib.run import Run
from reliability.lib.server import serving
from tests.support.server_process import Server
from tests.support.steady_clients import Seen, post, settled, steady_clients

MODEL = "labeld/sentiment-en"
TEXTS = tuple(f"{word} " * 100 for word in ("good", "bad", "film", "day", "the", "not"))
"""Long enough that the server is what is slow, and not the client beside it."""
TIMES = 10.0
FULL_SECONDS = 300
CAPACITY_SECONDS = 4.0
CLIENTS = 16
ATTEMPTS = 3
"""A machine that others keep busy may spoil one or two."""
OTHERS = 0.1
"""Share of the server's cores that others may use meanwhile; with more of it, its times are partly theirs."""
BAR_GOODPUT, BAR_REFUSAL_MS, BAR_RECOVERY = 0.9, 50.0, 3.0
HEADERS = {**open_loop.JSON_HEADERS, "X-Use-Cache": "false"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One open loop after a measurement of the capacity."""

    capacity: float
    """Answers per second of clients that wait for theirs: the better of before and after the loop."""
    loop: open_loop.OpenLoop
    seen: Seen
    """By the clients that come after it."""
    others: float
    """Share of the server's cores that others used meanwhile."""

    @property
    def void(self) -> str:
        """Why this says nothing about times; empty when it does."""
        if not self.loop.on_time:
            return f"the generator left {self.loop.lateness_ms:.0f} ms late, at most {open_loop.ON_TIME_MS:.0f} count"
        if self.others > OTHERS:
            return f"others had {self.others:.0%} of the server's cores, at most {OTHERS:.0%} count"
        return ""


def check(run: Run) -> list[Figure]:
    """The capacity of a closed loop, and then an open one of ten times that, until the machine lets one count."""
    asked = _questions()
    server_cores, own_cores = _shares(sorted(os.sched_getaffinity(0)))
    seconds = max(4.0, min(FULL_SECONDS * run.minutes / 60, run.seconds / 2))
    before = ["taskset", "--cpu-list", ",".join(map(str, server_cores))]
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, own_cores)
    try:
        with serving(run, MODEL, before=before) as server:
            for _ in range(ATTEMPTS):
                attempt = _attempt(server, server_cores, asked, seconds)
                if not attempt.void:
                    break
    finally:
        os.sched_setaffinity(0, every)
    return figures(attempt)


def _shares(cores: list[int]) -> tuple[list[int], list[int]]:
    """Those of the server and the one of the generator, which must not wait for the server; both have it if alone."""
    return cores[:-1] or cores, cores[-1:]


def _attempt(server: Server, cores: Sequence[int], asked: Mapping[bytes, bytes], seconds: float) -> Attempt:
    used = Cores(cores, lambda: seconds_of(server.processes()))
    capacity, _ = _capacity(server, asked)
    bodies = [json.dumps({"inputs": text}).encode() for text in TEXTS]
    port = server.address[1]
    with _before_others():
        loop = open_loop.run(port, f"/models/{MODEL}", bodies, TIMES * capacity, seconds, headers=HEADERS)
    others = used.others()
    afterwards, seen = _capacity(server, asked)
    return Attempt(max(capacity, afterwards), loop, seen, others)


@contextmanager
def _before_others() -> Iterator[None]:
    """Processes that are started meanwhile need not wait for a core, where this user may have that."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def figures(attempt: Attempt) -> list[Figure]:
    """Those of times have no bar where the attempt is void."""
    loop = attempt.loop
    silent = sum(not one.retry_after for one in loop.refused)
    last = max(0.0, max(one.ended for one in loop.answers) - loop.seconds)
    counts = {"capacity_per_s": attempt.capacity, "refused": len(loop.refused), "of": len(loop.answers)}
    detail: dict[str, Any] = {
        **counts,
        "seconds": loop.seconds,
        "lateness_p99_ms": loop.lateness_ms,
        "others": attempt.others,
    }
    void = {"VOID": attempt.void} if attempt.void else {}
    failed = {why: count for why, count in attempt.seen.failed.items() if why not in {"429", "503"}}

    def timed(name: str, value: float, unit: str, bar: float, **keep: Any) -> Figure:
        return Figure("overload", name, value, unit, None if void else bar, detail=void, **keep)

    return [
        Figure("overload", "refusals", len(loop.refused), "", 1, "at least", detail),
        timed("goodput / capacity", loop.goodput() / attempt.capacity, "", BAR_GOODPUT, keep="at least"),
        timed("p99 of the refused", loop.refusal_ms(99), "ms", BAR_REFUSAL_MS),
        timed("from the last arrival to the last answer", last, "s", BAR_RECOVERY),
        Figure("overload", "refusals without Retry-After", silent, "", 0),
        Figure("overload", "neither answered nor refused", loop.errors, "", 0),
        Figure("overload", "right answers afterwards", attempt.seen.right, "", 1, "at least"),
        Figure("overload", "wrong and failed ones", attempt.seen.wrong + sum(failed.values()), "", 0, detail=failed),
    ]


def _questions() -> Mapping[bytes, bytes]:
    folder: Path = BUNDLED / MODEL
    answers = known_scores(folder, list(TEXTS))
    requests = [post(f"/models/{MODEL}", text, use_cache=False) for text in TEXTS]
    return {request: body_of(scores) for request, scores in zip(requests, answers, strict=True)}


def _capacity(server: Server, asked: Mapping[bytes, bytes]) -> tuple[float, Seen]:
    """Answers per second of clients that wait for theirs, and what these have seen."""
    with steady_clients([server.address], asked, CLIENTS) as seen:
        settled(seen, CLIENTS, 60.0)
        before, began = seen.right, time.monotonic()
        time.sleep(CAPACITY_SECONDS)
        rate = (seen.right - before) / (time.monotonic() - began)
    return max(rate, 1.0), seen
