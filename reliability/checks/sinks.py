"""Log sinks: stdout and stderr that are full, closed or read by nobody stop no request, and lost lines are counted.

The seeded fault waits for the reader of the log.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests

from benchmarks.lib.report import Figure
from benchmarks.lib.server import free_port
from reliability.lib.run import Run
from reliability.lib.server import end, started
from tests.support.server_process import Server, wait_until

FULL, LEAST = 5000, 350
"""Requests to each server: their lines are more than 4 MB, which may wait."""
TEXT = "good " * 4000
BAR_SECONDS = 5.0
ANSWERS_WITHIN = 8.0


@contextmanager
def _unread() -> Iterator[int]:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def _broken() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def _full() -> Iterator[int]:
    """A file on a disk that is full."""
    number = os.open("/dev/full", os.O_WRONLY)
    try:
        yield number
    finally:
        os.close(number)


SINKS: dict[str, Callable[[], Any]] = {"that nobody reads": _unread, "whose reader has gone": _broken, "full": _full}


def check(run: Run) -> list[Figure]:
    """One server for each sink, which is its stdout and its stderr."""
    return [figure for name, sink in SINKS.items() for figure in _with(run, name, sink)]


def _with(run: Run, name: str, sink: Callable[[], Any]) -> list[Figure]:
    hung, slowest, asked = 0, 0.0, 0
    flags = ("--log-format", "json", "--log-texts", "--port", str(port := free_port()))
    with sink() as number:
        server = started(run, "labeld/language-20", *flags, stdout=number, stderr=number)
        server.url = f"http://127.0.0.1:{port}"
        try:
            ready = wait_until(lambda: _is_ready(server), 60)
            for _ in run.rounds(FULL, LEAST, part=1 / len(SINKS)):
                began = time.monotonic()
                asked += 1
                hung += not _is_answered(server)
                slowest = max(slowest, time.monotonic() - began)
                if hung > 2:
                    break
            dropped = 0.0 if hung else _dropped(server)
        finally:
            end(server)
    return [
        Figure("sinks", f"a log {name}: requests without an answer", hung + (not ready), "", 0, detail={"of": asked}),
        Figure("sinks", f"a log {name}: slowest answer", slowest, "s", BAR_SECONDS),
        Figure("sinks", f"a log {name}: lines counted as dropped", dropped, "", 1, "at least"),
    ]


def _is_ready(server: Server) -> bool:
    with suppress(requests.RequestException):
        return server.get("/ready").status_code == 200
    return False


def _is_answered(server: Server) -> bool:
    body: dict[str, Any] = {"inputs": TEXT, "parameters": {"truncation": True}}
    with suppress(requests.RequestException):
        return server.session.post(f"{server.url}/", json=body, timeout=ANSWERS_WITHIN).status_code == 200
    return False


def _dropped(server: Server) -> float:
    found = re.search(r"^labeld_log_lines_dropped_total (\S+)$", server.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0
