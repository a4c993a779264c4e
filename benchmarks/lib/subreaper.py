"""A child subreaper (Linux): `python subreaper.py COMMAND…` ends only when all processes of the command have ended.

A server may start processes that detach themselves. Every orphan becomes a child of the subreaper, so that none is
lost. SIGTERM is passed on to the command; whatever is left ENDS_WITHIN seconds later, or after the command has ended by
itself, is killed, each by its own id. The subreaper gets a SIGTERM also when the process that started it dies. Only
the standard library is imported, because it runs with any Python.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ENDS_WITHIN = 5.0
SET_PARENT_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36
"""Of prctl(2)."""


def descendants(pid: int) -> list[int]:
    """All processes below a process, parents first."""
    found = []
    with contextlib.suppress(OSError):  # it may end meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def keep(command: list[str]) -> int:
    """Runs the command until none of its processes is left; its exit code, negative for a signal."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(SET_CHILD_SUBREAPER, 1)
    library.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    asked_to_end: list[float] = []

    def end(*_: object) -> None:
        asked_to_end.append(time.monotonic())

    signal.signal(signal.SIGTERM, end)
    process = subprocess.Popen(command)
    passed_on = False
    while process.poll() is None:
        if asked_to_end and not passed_on:
            process.terminate()
            passed_on = True
        if asked_to_end and time.monotonic() > asked_to_end[0] + ENDS_WITHIN:
            break
        time.sleep(0.02)
    _kill_all()
    return process.wait()


def _kill_all() -> None:
    """Kills what is left, again and again, since a process may start another before it dies."""
    while left := descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


if __name__ == "__main__":
    code = keep(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
