"""Closed loop: wrk keeps connections busy with ready-made requests; any server, any reply.

Counting begins WARM seconds after the load does, when a server is busy as it will be: otherwise what is asked in the
beginning and not answered at the end would count against slow servers only.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.lib.peer import PeerError

WARM = 1.0
TIMEOUT = 30
"""Seconds after which wrk gives a request up."""
SCRIPT = """
local ffi = require("ffi")
ffi.cdef("typedef struct {{ long s; long ns; }} moment; int clock_gettime(int clock, moment *at);")
local moment = ffi.new("moment")
local requests, threads, at, begin = {{}}, {{}}, 0, nil
answers, failures, refused, seconds = 0, 0, 0, 0

local function now()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.s) + tonumber(moment.ns) / 1e9
end

function setup(thread)
  table.insert(threads, thread)
end

function init()
  for body in io.lines("{bodies}") do
    local headers = {{["Content-Type"] = "application/json", ["X-Use-Cache"] = "false"}}
    table.insert(requests, wrk.format("POST", "{path}", headers, body))
  end
end

function request()
  begin = begin or now() + {warm}
  at = at % #requests + 1
  return requests[at]
end

function response(status)
  if status ~= 200 then failures = failures + 1 end
  if now() >= begin then answers = answers + 1 end
end

function done(summary, latency)
  local get = function(name) return threads[1]:get(name) end
  io.write(string.format('\\n{{"answers": %d, "failures": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}}\\n',
    get("answers"), get("failures") + summary.errors.timeout + summary.errors.read + summary.errors.connect,
    summary.duration / 1e6 - {warm}, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class Load(NamedTuple):
    """Rate and latencies of the answers."""

    rate: float
    """Requests per second."""
    p50_ms: float
    p99_ms: float


def load(  # noqa: PLR0913, PLR0917  # the parts of a load
    port: int, path: str, bodies: Sequence[str], seconds: float, connections: int, warm: float = WARM
) -> Load:
    """Keeps the connections busy for `warm` seconds and then counts for `seconds`.

    Raises PeerError when an answer is not a 200 or does not come.
    """
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk, or see https://github.com/wg/wrk.")
    with tempfile.TemporaryDirectory() as folder:
        lines, script = Path(folder, "bodies"), Path(folder, "load.lua")
        lines.write_text("".join(f"{body}\n" for body in bodies), encoding="utf-8")
        script.write_text(SCRIPT.format(bodies=lines, path=path, warm=warm), encoding="utf-8")
        duration = f"-d{max(1, round(warm + seconds))}s"
        options = ["-t1", f"-c{connections}", duration, "--timeout", f"{TIMEOUT}s", "-s", str(script)]
        ran = subprocess.run(
            ["wrk", *options, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=False
        )
    if ran.returncode:
        raise PeerError(f"wrk failed: {(ran.stderr or ran.stdout)[-200:]}")
    found = json.loads(ran.stdout.splitlines()[-1])
    if found["failures"]:
        raise PeerError(f"{found['failures']} requests had no answer with status 200, and {found['answers']} had.")
    if not found["answers"]:
        raise PeerError(f"it answered nothing within {seconds:g} s under load.")
    return Load(found["answers"] / found["seconds"], found["p50_ms"], found["p99_ms"])
