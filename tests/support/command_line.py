"""The `labeld` command by its public entry, run within the test's own process: no start of an interpreter is paid."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from labeld.__main__ import main
from tests.support.server_process import wait_until


def labeld(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """How `labeld ARGUMENTS` ends with these environment variables, an empty cache and no Hub.

    An exception that it lets out is the test's.
    """
    stdout, stderr = StringIO(), StringIO()
    code: str | int | None = None
    with (
        patch.object(sys, "argv", ["labeld", *arguments]),
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, {"LABELD_CACHE_DIR": cache, "LABELD_HUB": "off", **variables}),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):  # as the interpreter does it
                print(code, file=sys.stderr)
                code = 1
    return subprocess.CompletedProcess(["labeld", *arguments], code or 0, stdout.getvalue(), stderr.getvalue())


def interrupted(
    command: tuple[str, ...], folder: Path, rows: bytes, *, after: float = 0.0, idle: bool = False
) -> tuple[int, str]:
    """The exit code of a command that gets Ctrl-C when it has read these rows from a pipe, and what it says.

    With `idle` the command then has nothing to do, which is waited for.
    """
    with subprocess.Popen(
        (sys.executable, "-m", "labeld", *command),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        # as a terminal's: what is started in the background ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
    ) as running:
        pipe, errors = running.stdin, running.stderr
        assert pipe is not None
        assert errors is not None
        pipe.write(rows)
        pipe.flush()
        assert wait_until(lambda: not any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))), 60)  # it has read all
        assert not idle or wait_until(lambda: _sleeps(running.pid), 60)
        time.sleep(after)
        running.send_signal(signal.SIGINT)
        try:
            running.wait(30)
        finally:
            running.kill()
        return running.returncode, errors.read().decode()


def _sleeps(process: int) -> bool:
    """Whether all threads of a process wait, and go on waiting for half a second."""
    for _ in range(10):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                if (thread / "stat").read_text().rpartition(")")[2].split()[0] != "S":
                    return False
        time.sleep(0.05)
    return True
