"""Several workers: whichever is asked speaks for all, and what one had counted stays when it has ended."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from labeld.metrics.families import lasting, merged
from tests.metrics.test_metrics import CLASSIFY, Series, parsed, value
from tests.support.server_process import Server, serving, wait_until


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two workers that are both ready."""
    with serving(tmp_path_factory.mktemp("pair"), "--workers", "2", "--cache-bytes", "0") as running:
        running.wait_ready()
        yield running


def anew(server: Server, method: str, path: str, **options: Any) -> requests.Response:
    """A request on a connection of its own, which either worker may take."""
    return requests.request(method, server.url + path, headers={"connection": "close"}, timeout=60, **options)


def read(server: Server) -> Series:
    """The present text of /metrics."""
    return parsed(anew(server, "GET", "/metrics").text)


def processes(server: Server) -> dict[int, Any]:
    """The entry of each worker in /status."""
    return {one["pid"]: one for one in anew(server, "GET", "/status").json()["workers"]["processes"]}


def served(series: Series) -> float:
    """Requests to classify that were answered."""
    return value(series, "requests_total", route=CLASSIFY, status="200")


def test_any_worker_speaks_for_all(pair: Server) -> None:
    """Forty requests on forty connections are forty in every scrape, and states are sums or facts of the server."""
    before = served(read(pair))
    for number in range(40):
        assert anew(pair, "POST", "/models/labeld/sentiment-en", json={"inputs": f"{number}"}).status_code == 200

    several = [read(pair) for _ in range(6)]
    assert [40.0] * 6 == [served(one) - before for one in several]
    assert (2, 2) == (value(several[0], "models_loaded"), value(several[0], "workers"))
    assert value(several[0], "request_seconds_bucket", le="+Inf") == value(several[0], "request_seconds_count")
    assert 1 == value(several[0], "model_info", model="labeld/sentiment-en", precision="float32")

    answered = [value(one, "top_score_count", model="labeld/sentiment-en") for one in several]
    assert [40.0] * 6 == answered
    labels = {
        name: count for (name, labels), count in several[0].items() for name in [dict(labels).get("label")] if name
    }
    assert 40 == sum(labels.values())

    status = anew(pair, "GET", "/status").json()
    [model] = status["models"]
    assert {name: count for name, count in labels.items() if count} == {
        one["label"]: one["texts"] for one in model["top_labels"]
    }
    assert 2 == len(status["workers"]["processes"]) == status["counts"]["loads"]
    assert status["memory"]["used"] == sum(one["memory"]["used"] for one in status["workers"]["processes"])


def test_what_a_dead_worker_counted_stays(pair: Server) -> None:
    """No counter goes down when a worker is killed, or later; its memory and its models are not counted on."""
    for _ in range(2):
        for number in range(10):
            anew(pair, "POST", "/models/labeld/sentiment-en", json={"inputs": f"{number}"})
        before = read(pair)
        killed = next(iter(processes(pair)))
        os.kill(killed, signal.SIGKILL)
        assert wait_until(lambda killed=killed: killed not in processes(pair))
        after = read(pair)
        pair.wait_ready()
        assert wait_until(lambda: len(processes(pair)) == 2)
        later = [read(pair) for _ in range(4)]

        for one in (after, *later):
            assert served(before) == served(one)
            assert value(before, "tokens_total") == value(one, "tokens_total")
            scored = [value(each, "top_score_count", model="labeld/sentiment-en") for each in (before, one)]
            assert scored[0] == scored[1] > 0
            assert value(before, "request_seconds_count") <= value(one, "request_seconds_count")
        assert 1 == value(after, "models_loaded")
        assert 2 == value(later[-1], "models_loaded")
        assert value(before, "model_loads_total") < value(later[-1], "model_loads_total")


NEAR = 0.15
"""Share by which sums of rates may differ: a busy machine ends intervals late. What one worker forgets is a half."""


def status_of(server: Server) -> dict[str, Any]:
    """What /status says now."""
    found: dict[str, Any] = anew(server, "GET", "/status").json()
    return found


def classified(status: dict[str, Any]) -> float:
    """How many requests to classify the last ten minutes had."""
    history = status["history"]
    return float(sum(history["requests"]) * history["interval"])


def settled(server: Server) -> dict[str, Any]:
    """What /status says when the requests before have reached the history of each worker."""
    time.sleep(4.5)  # two intervals
    return status_of(server)


def test_the_status_is_of_the_server(pair: Server) -> None:
    """Whoever answers: the last ten minutes of all workers, and each model once with those that have loaded it."""
    before = classified(settled(pair))
    for number in range(40):
        path = "/models/labeld/sentiment-en" if number % 2 else "/models/labeld/language-20"
        assert anew(pair, "POST", path, json={"inputs": f"{number} again"}).status_code == 200
    settled(pair)
    several: list[dict[str, Any]] = []

    def both_have_answered() -> bool:
        several.append(status_of(pair))
        return len({one["pid"] for one in several}) == 2

    assert wait_until(both_have_answered)

    pids = {one["pid"] for one in several[0]["workers"]["processes"]}
    for one in several:
        assert pytest.approx(before + 40, rel=NEAR) == classified(one)
        assert {10, 60, 600} >= {row["seconds"] for row in one["recent"]}
        assert max(one["history"]["memory"]) > 1.5 * max(each["recent"][0]["memory"] for each in processes_of(one))
        names = [model["model_id"] for model in one["models"]]
        assert sorted(set(names)) == sorted(names)
        [model] = [model for model in one["models"] if model["model_id"] == "labeld/sentiment-en"]
        copies = [
            copy for each in processes_of(one) for copy in each["models"] if copy["model_id"] == model["model_id"]
        ]
        assert pids == {*model["workers"]}
        for name in ("bytes", "texts", "tokens"):
            assert model[name] == sum(copy[name] for copy in copies)
        assert sum(each["bytes"] for each in one["models"]) <= one["memory"]["used"]
        assert [] == one["workers"]["silent"]


def processes_of(status: dict[str, Any]) -> list[dict[str, Any]]:
    """What it says of each worker."""
    found: list[dict[str, Any]] = status["workers"]["processes"]
    return found


def test_what_a_dead_worker_answered_stays_in_the_history(pair: Server) -> None:
    """Its models go with it, and the last ten minutes are still those of the server."""
    for number in range(20):
        anew(pair, "POST", "/models/labeld/sentiment-en", json={"inputs": f"{number} before"})
    before = settled(pair)
    killed = before["workers"]["processes"][0]["pid"]
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: killed not in processes(pair))
    after = status_of(pair)

    assert pytest.approx(classified(before), rel=NEAR) == classified(after)
    assert all(killed not in model["workers"] for model in after["models"])
    pair.wait_ready()
    assert wait_until(lambda: len(processes(pair)) == 2)


def test_a_silent_worker_is_named_and_not_waited_for(pair: Server) -> None:
    """One that stands still costs a second; what it had said last still counts."""
    before = settled(pair)
    stopped = before["workers"]["processes"][0]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        began = time.monotonic()
        replies = []
        while time.monotonic() < began + 4 and len(replies) < 2:
            with suppress(requests.exceptions.Timeout):  # the one that stands still may have been given the connection
                replies.append(requests.get(f"{pair.url}/status", headers={"connection": "close"}, timeout=2.5).json())
    finally:
        os.kill(stopped, signal.SIGCONT)

    assert replies
    for status in replies:
        assert [stopped] == status["workers"]["silent"]
        assert before["counts"]["loads"] <= status["counts"]["loads"]
        assert pytest.approx(classified(before), rel=NEAR) == classified(status)
    assert wait_until(lambda: status_of(pair)["workers"]["silent"] == [])


LONG = "temporary" * 12
"""Longer than the address of a socket may be."""


def test_nothing_stays_behind(tmp_path: Path) -> None:
    """The folder that the workers share goes with the server."""
    (tmp_path / LONG).mkdir()
    with serving(tmp_path, "--workers", "2", TMPDIR=str(tmp_path / LONG)) as running:
        running.wait_ready()
        assert wait_until(lambda: len(list((tmp_path / LONG).glob("labeld-*/*.socket"))) == 2)
        assert {0o700} == {one.stat().st_mode & 0o777 for one in (tmp_path / LONG).glob("labeld-*")}
    assert [] == list((tmp_path / LONG).iterdir())


def test_sums_and_what_is_none() -> None:
    """Counters and gauges are summed, times of beginning are the earliest, and one series is there once."""

    def process(count: float, made: float, label: str) -> list[dict[str, Any]]:
        counter = [["a_total", {"route": label}, count], ["a_created", {"route": label}, made]]
        return [
            {"name": "a", "help": "A.", "type": "counter", "samples": counter},
            {"name": "b", "help": "B.", "type": "gauge", "samples": [["b", {}, count]]},
            {
                "name": "labeld_uptime_seconds",
                "help": "U.",
                "type": "gauge",
                "samples": [["labeld_uptime_seconds", {}, made]],
            },
        ]

    both = merged([process(1, 100, "x"), process(2, 90, "x"), process(4, 95, "y")])
    assert [
        [
            ["a_total", {"route": "x"}, 3],
            ["a_created", {"route": "x"}, 90],
            ["a_total", {"route": "y"}, 4],
            ["a_created", {"route": "y"}, 95],
        ],
        [["b", {}, 7]],
        [["labeld_uptime_seconds", {}, 100]],
    ] == [one["samples"] for one in both]
    assert ["a"] == [one["name"] for one in lasting(both)]
