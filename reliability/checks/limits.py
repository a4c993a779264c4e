"""Limits: with few descriptors, little memory or one core a server starts and answers, or ends and says why.

The seeded fault raises the limit of open files beyond what the system allows.
"""

import resource
import select
from collections.abc import Callable, Sequence
from contextlib import suppress

import requests

from benchmarks.lib.report import Figure
from reliability.lib.memory_group import memory_group
from reliability.lib.run import Run
from reliability.lib.server import end, started
from tests.support.server_process import Server, wait_until

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


MEMORY = {"1.2 of its memory": 1.2, "0.7 of its memory": 0.7}
"""Limits of a control group, as shares of what a server without one has when it has answered."""
OUT_OF_MEMORY = "when memory runs out"
KILLS = 2
"""Workers that were killed and replaced, after which a server counts as one that says why it does not answer."""


def check(run: Run) -> list[Figure]:
    """Each limit, once or several times; one core, and a control group's memory where this user may make one, too."""
    outcomes: dict[str, str] = {}
    for _ in run.rounds(FULL):
        for name, limit in LIMITS.items():
            outcomes[name] = _start(run, limit)
        outcomes["one core"] = _start(run, lambda: None, ["taskset", "--cpu-list", "0"])
        outcomes |= _with_little_memory(run)
    wrong = {name: said for name, said in outcomes.items() if not said.startswith(("answers", "says"))}
    found = [
        Figure("limits", "limits under which it neither answers nor says why", len(wrong), "", 0, detail=dict(wrong)),
        Figure("limits", "limits", len(outcomes), "", len(LIMITS) + 1, "at least", dict(outcomes)),
    ]
    if not outcomes.keys() & MEMORY.keys():
        found.append(Figure("limits", "a control group's memory: left out, this user may make no group", 0, ""))
    return found


def _with_little_memory(run: Run) -> dict[str, str]:
    """What a server in a control group does; nothing where there can be none."""
    used: list[int] = []
    with memory_group() as group:
        if group is None or _start(run, group.enter, meanwhile=lambda: used.append(group.used())) != "answers":
            return {}
        found = {}
        for name, share in MEMORY.items():
            group.limit(round(share * used[0]))
            found[name] = _start(run, group.enter)
        return found


def _start(
    run: Run, limit: Callable[[], None], before: Sequence[str] = (), meanwhile: Callable[[], None] = lambda: None
) -> str:
    """`answers`, `says` why it does not, or what it does instead; `meanwhile` is called when it has answered."""
    server = started(run, "labeld/language-20", preexec_fn=limit, before=before)
    try:
        wait_until(lambda: _comes_to_something(server), STARTS_WITHIN)
        with suppress(TimeoutError):
            if _has_output(server):
                server.wait_ready()
        if server.url:
            with suppress(requests.RequestException):
                status = server.post("/", json={"inputs": "Guten Morgen, wie geht es dir?"}).status_code
                meanwhile()
                return {200: "answers", 503: "says 503", 507: "says 507"}.get(status, f"status {status}")
            return "takes no request"
        said = _said(server)
        if said.count(OUT_OF_MEMORY) >= KILLS:
            return f"says: workers are killed {OUT_OF_MEMORY}"
        if _has_output(server):  # its end
            code = server.process.wait(STARTS_WITHIN)
            is_clear = bool(said) and "Traceback" not in said and len(said.splitlines()) <= MOST_LINES
            reasons = [line for line in said.splitlines() if "could not start" not in line]
            if code and is_clear and reasons:
                return f"says: {reasons[-1][24:140]}"
            return f"ends with {code}: {said[-300:]}"
        return "hangs"
    finally:
        end(server)


def _comes_to_something(server: Server) -> bool:
    """Whether it is ready, has ended, or has said often enough why it is neither."""
    return _has_output(server) or _said(server).count(OUT_OF_MEMORY) >= KILLS


def _has_output(server: Server) -> bool:
    """Whether there is a line to read, or the end of all lines."""
    assert server.process.stdout is not None
    return bool(select.select([server.process.stdout], [], [], 0)[0])


def _said(server: Server) -> str:
    return server.log.read_text(encoding="utf-8", errors="replace").strip()
