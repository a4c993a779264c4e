"""Limits: with few descriptors, little memory or one core a server starts and answers, or ends and says why.

The seeded fault raises the limit of open files beyond what the system allows.
"""

import resource
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import requests

from benchmarks.lib.report import Figure
from reliability.lib.run import Run
from reliability.lib.server import end, started

FULL = 20
MIB = 1024 * 1024
STARTS_WITHIN = 60.0
MOST_LINES = 12
"""Of what a server that does not start says."""


def _limited(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


LIMITS: dict[str, Callable[[], None]] = {
    "64 descriptors": _limited(resource.RLIMIT_NOFILE, 64),
    "24 descriptors": _limited(resource.RLIMIT_NOFILE, 24),
    "300 MB of address space": _limited(resource.RLIMIT_AS, 300 * MIB),
    "1 GB of address space": _limited(resource.RLIMIT_AS, 1024 * MIB),
    "files of 4 kB": _limited(resource.RLIMIT_FSIZE, 4096),
    "no core files, 1 MB locked": _limited(resource.RLIMIT_MEMLOCK, MIB),
}


def check(run: Run) -> list[Figure]:
    """Each limit, once or several times; one core as well."""
    outcomes: dict[str, str] = {}
    for _ in run.rounds(FULL):
        for name, limit in LIMITS.items():
            outcomes[name] = _start(run, limit)
        outcomes["one core"] = _start(run, lambda: None, ["taskset", "--cpu-list", "0"])
    wrong = {name: said for name, said in outcomes.items() if not said.startswith(("answers", "says"))}
    return [
        Figure("limits", "limits under which it neither answers nor says why", len(wrong), "", 0, detail=dict(wrong)),
        Figure("limits", "limits", len(outcomes), "", len(LIMITS) + 1, "at least", dict(outcomes)),
    ]


def _start(run: Run, limit: Callable[[], None], before: list[str] | None = None) -> str:
    """`answers`, `says` why it does not, or what it does instead."""
    server = started(run, "labeld/language-20", preexec_fn=limit, before=before or [])
    try:
        began = time.monotonic()
        with suppress(TimeoutError):
            server.wait_ready()
        if server.url:
            with suppress(requests.RequestException):
                reply = server.post("/", json={"inputs": "Guten Morgen, wie geht es dir?"})
                return "answers" if reply.status_code in {200, 503, 507} else f"status {reply.status_code}"
            return "takes no request"
        with suppress(subprocess.TimeoutExpired):
            code = server.process.wait(max(1.0, STARTS_WITHIN - (time.monotonic() - began)))
            said = server.log.read_text(encoding="utf-8", errors="replace").strip()
            is_clear = bool(said) and "Traceback" not in said and len(said.splitlines()) <= MOST_LINES
            return f"says: {said.splitlines()[-1][:100]}" if code and is_clear else f"ends with {code}: {said[-300:]}"
        return "hangs"
    finally:
        end(server)
