"""The history: what happened in the last ten minutes, in bounded memory."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from labeld.config.settings import Residency, Settings
from labeld.metrics.prometheus import Metrics
from labeld.service.build import Hosting, open_service
from labeld.service.service import Service
from labeld.types import ClassifyRequest, Text
from labeld.web.monitoring import figures
from labeld.web.monitoring.figures import KEPT, Interval, summed
from labeld.web.monitoring.history import History
from tests.support.classify import classify
from tests.support.server_process import Server, serving, wait_until


class Clock:
    """A monotonic clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def with_service(story: Callable[[Service, Metrics], Awaitable[None]]) -> None:
    """Runs a story with the bundled models."""

    async def run() -> None:
        metrics = Metrics()
        async with open_service(Settings(residency=Residency(load_grace=60)), Hosting(metrics)) as service:
            await story(service, metrics)

    asyncio.run(run())


def test_an_interval_is_what_happened_in_it() -> None:
    """Rates per second, the median and the slowest of its own requests, batches as the streams ran them."""

    async def story(service: Service, metrics: Metrics) -> None:
        clock = Clock()
        history = History(metrics.totals, service, clock)
        await classify(service, None, ClassifyRequest((Text("good"), Text("bad"))))
        for seconds in (0.010, 0.010, 0.010, 0.5):
            metrics.totals.classified(2, 200, seconds)
        metrics.totals.classified(1, 429, 0.001)
        clock.now += 2
        history.note()
        clock.now += 4
        history.note()
        clock.now += 1
        columns = figures.columns(history.intervals(), clock())

        assert [5.0, 1.0] == columns["ago"]
        assert [2.5, 0] == columns["requests"]
        assert [4, 0] == columns["texts"]
        assert [0.5, 0] == columns["refused"]
        assert [0, 0] == columns["failed"]
        assert [0, None] == columns["cached"]
        assert pytest.approx(0.010, rel=0.05) == columns["p50"][0]
        assert pytest.approx(0.5, rel=0.05) == columns["p99"][0]
        assert [None, None] == [columns[name][1] for name in ("p50", "batch_texts")]
        assert 2 == columns["batches"][0] * 2 * columns["batch_texts"][0]  # both texts, in one batch or two
        assert columns["tokens"][0] > 0
        assert min(columns["memory"]) > 0

    with_service(story)


def test_the_windows_sum_up_what_they_cover() -> None:
    """The last ten seconds do not know what the last minute saw."""

    async def story(service: Service, metrics: Metrics) -> None:
        clock = Clock()
        history = History(metrics.totals, service, clock)
        metrics.totals.classified(1, 200, 1.0)
        for _ in range(20):
            clock.now += 2
            history.note()
        ten, minute, all_of_it = figures.recent(history.intervals())

        assert (10, 60, 600) == tuple(one["seconds"] for one in (ten, minute, all_of_it))
        assert (0, None) == (ten["requests"], ten["p50"])
        assert pytest.approx(1 / 40) == minute["requests"]
        assert pytest.approx(1.0, rel=0.05) == minute["p99"]
        assert {**minute, "seconds": 600} == all_of_it

    with_service(story)


def test_ten_minutes_are_kept_and_no_more() -> None:
    """However long the process runs; the document stays below 40 KB with every number as long as it gets."""

    async def story(service: Service, metrics: Metrics) -> None:
        clock = Clock()
        history = History(metrics.totals, service, clock)
        for _ in range(KEPT + 50):
            metrics.batch(123_457, 0.1, [0.0] * 17)
            metrics.looked_up(12_345, 0, 67_891)
            for seconds in (0.001234, 1.2345):
                metrics.totals.classified(12_345, 200, seconds)
            clock.now += 2.345
            history.note()
        columns = figures.columns(history.intervals(), clock())

        assert {KEPT} == {len(column) for name, column in columns.items() if name != "interval"}
        assert len(json.dumps(columns)) < 40_000

    with_service(story)


def test_nothing_yet_is_no_division_by_zero() -> None:
    """Before the first interval, and for one that took no time."""

    async def story(service: Service, metrics: Metrics) -> None:
        clock = Clock()
        history = History(metrics.totals, service, clock)

        assert [] == figures.recent(history.intervals())
        assert [] == figures.columns(history.intervals(), clock())["ago"]
        history.note()
        assert [0] == figures.columns(history.intervals(), clock())["requests"]

    with_service(story)


def test_an_interval_ends_where_those_of_other_processes_end() -> None:
    """When the clock is a multiple of two seconds, whenever a process has started, and also if its timer is late."""

    async def story(service: Service, metrics: Metrics) -> None:
        clock = Clock()
        clock.now = 101.3
        history = History(metrics.totals, service, clock)
        clock.now = 101.9
        assert [] == history.intervals()
        clock.now = 102.1
        assert [(101.3, 102.1)] == [(one["began"], one["ended"]) for one in history.intervals()]
        clock.now = 103.9
        assert 1 == len(history.intervals())
        keeping = asyncio.create_task(History(metrics.totals, service).keep())
        real = History(metrics.totals, service)
        kept = asyncio.create_task(real.keep())
        await asyncio.sleep(2.3)
        for task in (keeping, kept):
            task.cancel()
        assert 0 <= real._intervals[-1]["ended"] % 2 < 0.3

    with_service(story)


def interval(began: float, ended: float, requests: int, times: list[list[int]], queue: int = 0) -> Interval:
    """One in which so many requests were answered, of one text each, none of them cached."""
    names = ("requests", "texts", "refused", "failed", "hits", "misses", "batches", "batch_texts", "tokens")
    counts = {
        name: requests if name in {"requests", "texts", "misses", "batches", "batch_texts"} else 0 for name in names
    }
    return {"began": began, "ended": ended, "counts": counts, "times": times, "queue": queue, "memory": 100}


def test_intervals_of_several_processes_are_one_at_each_moment() -> None:
    """Counts, times, waiting tokens and memory are summed; quantiles are those of all requests together."""
    one = [interval(100.0, 102.0, 90, [[50, 90]], 5), interval(102.0, 104.01, 10, [[50, 10]])]
    other = [interval(101.5, 102.002, 10, [[120, 10]], 7), interval(102.002, 104.02, 0, [])]
    later = [interval(104.02, 106.0, 1000, [[1, 1000]])]
    both = summed([one, other, later], 105.0)
    columns = figures.columns(both, 105.0)

    assert [3.0, 1.0] == columns["ago"]
    assert [pytest.approx(50, rel=0.01), pytest.approx(5, rel=0.02)] == columns["requests"]
    assert ([12, 0], [200, 200], [0, 0]) == (columns["queue"], columns["memory"], columns["cached"])
    assert columns["p50"][0] == columns["p50"][1]
    assert columns["p99"][0] > 100 * columns["p50"][0]
    assert [pytest.approx(110 / 4.02, rel=0.01)] * 3 == [row["requests"] for row in figures.recent(both)]
    assert [12] * 3 == [row["queue"] for row in figures.recent(both)]
    assert [2, 1, 0] == [len(summed([one, other], 104.0 + 2 * late)) for late in (KEPT - 2, KEPT - 1, KEPT)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server of the bundled models."""
    with serving(tmp_path_factory.mktemp("history")) as running:
        yield running


def test_a_server_keeps_its_history(watched: Server, tmp_path: Path) -> None:
    """A request that classifies shows up within the interval; looking at the status is none."""
    for _ in range(3):
        assert 200 == watched.post("/models/labeld/sentiment-en", json={"inputs": ["one", "two"]}).status_code
        watched.get("/status")

    def recent() -> dict[str, Any]:
        found = watched.get("/status").json()["recent"]
        return found[-1] if found else {}

    assert wait_until(lambda: (recent().get("cached") or 0) > 0.6)  # the first may be in an interval of its own
    seen = recent()
    length = 3 / seen["requests"]
    assert pytest.approx(6 / length, rel=0.01) == seen["texts"]
    assert pytest.approx(4 / 6, rel=0.01) == seen["cached"]
    assert 0 < seen["p50"] <= seen["p99"] < 60
