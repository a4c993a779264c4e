"""Cached: answers from the cache, against a Starlette route that reads and writes the same bytes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

from benchmarks.lib.client import Connection, get
from benchmarks.lib.load import CONNECTIONS
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import READY_WITHIN, Server, free_port, on_core
from labeld.repository.folders import DEFAULT_MODEL

BAR_RATE, BAR_SHARE, BAR_MS = 8000, 0.35, 1.0
PATH = f"/models/{DEFAULT_MODEL}"
BODY = json.dumps({"inputs": "The kettle works exactly as described."})
SERVER_CORE, LOAD_CORE = 0, 1
OF_UVICORN = ("server", "date", "connection")
"""Header fields that uvicorn writes itself; `connection` because urllib sends it."""
SCRIPT = f"""
wrk.method, wrk.body, wrk.headers["Content-Type"] = "POST", '{BODY}', "application/json"
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\n{{"answers": %d, "seconds": %.6f, "median_ms": %.3f, "failures": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def measure(plan: Plan) -> list[Figure]:
    """Requests per second of both, in alternating rounds, each server alone on one core and wrk on another."""
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        sys.exit("The figure cached needs two cores: one for the server, one for wrk.")
    rounds, seconds = (1, 1) if plan.quick else (5, 5)
    rates: list[float] = []
    bare_rates: list[float] = []
    flags = ("--cache-bytes", str(1 << 20))
    with Server(*flags, cache=plan.cache, core=SERVER_CORE) as server, _bare_route(server.port) as bare_port:
        for _ in plan.progress.track(range(rounds), description="cached: against a bare route"):
            bare_rates.append(_load(bare_port, CONNECTIONS, seconds)[0])
            rates.append(_load(server.port, CONNECTIONS, seconds)[0])
        alone_ms = _load(server.port, 1, seconds)[1]
    share = median(rates) / median(bare_rates)
    detail = {"bare_route": summary(bare_rates), "ours": summary(rates)}
    return [
        Figure("cached", "one core", median(rates), "requests/s", BAR_RATE, "at least", detail),
        Figure("cached", "of a bare route's requests/s", share, "", BAR_SHARE, "at least"),
        Figure("cached", "median at one connection", alone_ms, "ms", BAR_MS),
    ]


@contextmanager
def _bare_route(port: int) -> Iterator[int]:
    """The port of a bare route that answers what the server on `port` answers to a repeated question."""
    with urlopen(_question(port)), urlopen(_question(port)) as reply:
        if reply.headers["x-compute-type"] != "cache":
            sys.exit("The server does not answer from its cache.")
        headers = {name: value for name, value in reply.headers.items() if name not in OF_UVICORN}
        payload = json.dumps({"headers": headers, "body": reply.read().decode()})
    bare_port = free_port()
    command = [*on_core(SERVER_CORE), sys.executable, "-m", "benchmarks.lib.bare_route", str(bare_port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(payload)
            process.stdin.close()
            _wait_for(bare_port)
            yield bare_port
        finally:
            process.terminate()


def _question(port: int) -> Request:
    return Request(f"http://127.0.0.1:{port}{PATH}", BODY.encode(), {"Content-Type": "application/json"})


def _wait_for(port: int) -> None:
    end = time.monotonic() + READY_WITHIN
    while time.monotonic() < end:
        with suppress(OSError), Connection(port) as connection:
            connection.ask(get("/"))
            return
        time.sleep(0.02)
    sys.exit("The bare route was not ready in time.")


def _load(port: int, connections: int, seconds: int) -> tuple[float, float]:
    """Requests per second and median milliseconds; exits when an answer is not a 200."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk, or see https://github.com/wg/wrk.")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "load.lua")
        script.write_text(SCRIPT, encoding="ascii")
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}{PATH}"]
        command = [*on_core(LOAD_CORE), "wrk", *options]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"wrk failed: {ran.stderr or ran.stdout}")
    found = json.loads(ran.stdout.splitlines()[-1])
    if found["failures"]:
        sys.exit(f"{found['failures']} of {found['answers']} answers under load were not 200.")
    return found["answers"] / found["seconds"], found["median_ms"]
