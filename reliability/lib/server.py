"""A real `labeld serve` process, with or without a check's seeded fault, of which nothing is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reliability.lib.run import Run
from tests.support.server_process import Server

ROOT = Path(__file__).parents[2]
ENDS_WITHIN = 40.0
"""Seconds; a server drains for 30 at most."""


def command(run: Run) -> list[str]:
    """The labeld command, of the build that the run is about."""
    return [sys.executable, "-m", *(("reliability.faults", run.name) if run.seeded else ("labeld",))]


def environment(run: Run, **variables: str) -> dict[str, str]:
    """This process's environment without settings of labeld and of the Hub, and with the run's own folders."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LABELD_", "HF_"))}
    places = {
        "LABELD_CACHE_DIR": str(run.folder / "cache"),
        "LABELD_TOKENS_DB": str(run.folder / "tokens" / "tokens.sqlite3"),
        "LABELD_LOAD_GRACE": "60",
        "LABELD_HUB": "off",
    }
    return {**others, "PYTHONPATH": str(ROOT), **places, **variables}


def started(
    run: Run, *arguments: str, variables: dict[str, str] | None = None, before: Sequence[str] = (), **options: Any
) -> Server:
    """A server on a free port that has been started, and is perhaps not ready; `before` is a command that runs it."""
    log = run.folder / f"stderr-{time.monotonic_ns()}"
    given = {"stdout": subprocess.PIPE, "bufsize": 0, "cwd": run.folder, "start_new_session": True, **options}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*before, *command(run), "serve", "--port", "0", *arguments],
            env=environment(run, **(variables or {})),
            **{"stderr": stderr, **given},
        )
    return Server(process, log)


@contextmanager
def serving(run: Run, *arguments: str, variables: dict[str, str] | None = None, **options: Any) -> Iterator[Server]:
    """A server that is ready. Options are those of Popen."""
    server = started(run, *arguments, variables=variables, **options)
    try:
        server.wait_ready()
        yield server
    finally:
        end(server)


def end(server: Server) -> None:
    """Ends a server, in order if it can."""
    server.session.close()
    with suppress(ProcessLookupError):
        server.process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.process.wait(timeout=ENDS_WITHIN)
    for pid in server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(timeout=ENDS_WITHIN)
    if server.process.stdout is not None:
        server.process.stdout.close()


def workers(server: Server) -> list[int]:
    """Ids of the worker processes, which are the children of the supervisor."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text(encoding="ascii")
    return [int(word) for word in children.split()]


def resident_bytes(pid: int) -> int:
    """Bytes of one process that no file could give back."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"RssAnon:\s+(\d+)", text)
    return int(found[1]) * 1024 if found else 0
