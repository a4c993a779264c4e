"""Load from wrk: many connections that cycle through texts, each answer counted in the tokens of its own text."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.lib.texts import Measured

CONNECTIONS = 32
RAISED = ("--max-in-flight", "2048", "--queue-seconds", "600", "--queue-timeout", "600")
"""Limits that let a thousand clients, or 32 with texts of 512 tokens, wait for two cores."""

SCRIPT = """
local requests, counts, threads, at = {{}}, {{}}, {{}}, 0
tokens, answers, failures = 0, 0, 0

function setup(thread)
  table.insert(threads, thread)
end

function init()
  for line in io.lines("{texts}") do
    local count, path, body = line:match("^(%d+)\\t(.-)\\t(.*)$")
    table.insert(counts, tonumber(count))
    local headers = {{["Content-Type"] = "application/json", ["X-Use-Cache"] = "false", ["X-Request-Id"] = #counts}}
    table.insert(requests, wrk.format("POST", path, headers, body))
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function response(status, headers)
  local count = status == 200 and counts[tonumber(headers["x-request-id"])]
  if count then
    tokens, answers = tokens + count, answers + 1
  else
    failures = failures + 1
  end
end

function done(summary, latency)
  local get = function(name) return threads[1]:get(name) end
  io.write(string.format(
    '\\n{{"tokens": %d, "answers": %d, "failures": %d, "seconds": %.6f, ',
    get("tokens"), get("answers"), get("failures") + summary.errors.timeout + summary.errors.read,
    summary.duration / 1e6))
  io.write(string.format(
    '"mean_ms": %.3f, "median_ms": %.3f, "p99_ms": %.3f}}\\n',
    latency.mean / 1e3, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def generate(  # noqa: PLR0913  # one per dimension of a load
    port: int,
    path: str | Sequence[str],
    texts: Sequence[Measured],
    seconds: int,
    connections: int = CONNECTIONS,
    *,
    member: str = "inputs",
) -> dict[str, Any]:
    """Keeps the connections busy; what was answered.

    Several paths take turns, so that each of them is asked equally often. `member` is that of the body which has the
    text. The answers are tokens, answers, failures,
    seconds, mean_ms, median_ms, p99_ms.

    Exits when an answer is not a 200, or when there is none: a server that refuses is not measured.
    """
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk, or see https://github.com/wg/wrk.")
    with tempfile.TemporaryDirectory() as folder:
        bodies, script = Path(folder, "texts"), Path(folder, "load.lua")
        paths = cycle([path] if isinstance(path, str) else path)
        lines = [
            f"{text.tokens}\t{one}\t{json.dumps({member: text.text})}\n"
            for text, one in zip(texts, paths, strict=False)
        ]
        bodies.write_text("".join(lines), encoding="ascii")
        script.write_text(SCRIPT.format(texts=bodies), encoding="ascii")
        url = f"http://127.0.0.1:{port}/"
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        ran = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"wrk failed: {ran.stderr or ran.stdout}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    if found["failures"]:
        sys.exit(f"{found['failures']} of {found['failures'] + found['answers']} answers under load were not 200.")
    if not found["answers"]:
        sys.exit(f"Nothing was answered within {seconds} s.")
    return found
