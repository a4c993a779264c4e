"""Tokens: SIGKILL at random moments of create, rotate and revoke, and every change that was acknowledged holds.

The seeded fault acknowledges a revoke too early.
"""

import os
import random
import signal
import sys
from contextlib import suppress

from benchmarks.lib.report import Figure
from benchmarks.lib.subreaper import descendants
from labeld.auth.database_url import Location, locate
from labeld.auth.store import TokenStore
from reliability.lib.databases import postgres
from reliability.lib.run import Run
from tests.support.token_changes import COMMAND, SECRET, Acknowledged, changing, integrity, killed_after

FULL, LEAST = 200, 8
LATEST, LONGEST = 0.15, 2.4
"""Seconds after which a process is killed, at most; on a busy machine up to the second, so that it has changed much."""
CHANGES = 6
"""Changes that a process should have acknowledged, on average: the third token is the first that is revoked."""
FAULTY = """
import runpy
from reliability.faults import planted

with planted("tokens"):
    runpy.run_module("tests.support.token_changes", run_name="__main__", alter_sys=True)
"""


def check(run: Run) -> list[Figure]:
    """Both databases, where PostgreSQL is installed."""
    figures = _killed(run, "SQLite", locate(str(run.folder / "new" / "tokens.sqlite3")))
    with postgres() as running:
        if running is not None:
            figures += _killed(run, "PostgreSQL", locate(running.database()))
    return figures


def _killed(run: Run, name: str, location: Location) -> list[Figure]:
    command = (sys.executable, "-c", FAULTY) if run.seeded else COMMAND
    payload, moments, lost, kills, unsound = Acknowledged(), random.Random(6), list[str](), 0, 0
    store = TokenStore(location, SECRET)
    with changing(location, command) as changes:
        try:
            latest = LATEST
            for kill in run.rounds(FULL, LEAST, part=0.5):
                kills += 1
                payload.read(killed_after(changes, f"run {kill}", moments.uniform(0.0, latest)))
                latest = min(LONGEST, 2 * latest) if payload.operations < CHANGES * kills else LATEST
                lost += payload.lost(store)
                unsound += location.path is not None and integrity(location.path) != "ok"
                if lost:
                    break
        finally:  # where this process is ended, the one that changes tokens would go on for ever
            for pid in descendants(changes.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    store.close()
    detail = {"acknowledged": payload.operations}
    return [
        Figure("tokens", f"{name}, killed {kills} times: changes that do not hold", len(lost), "", 0, detail=detail),
        Figure("tokens", f"{name}: changes that were acknowledged", payload.operations, "", kills, "at least"),
        Figure("tokens", f"{name}: database files that are damaged", unsound, "", 0),
    ]
