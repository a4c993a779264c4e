"""labeld itself, served by a process of its own for as long as a comparison takes, on a free port of this machine.

So both sides are asked over HTTP by one client, and labeld's memory is that of a server.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from labeld.config.against import inherited_environment
from labeld.config.names import flag, variable
from labeld.errors import LabeldError, UnavailableError

_READY = re.compile(rb"answers at (http://\S+) with ")
_REASON = re.compile(r"(?:ERROR labeld|^labeld): (.+)", re.MULTILINE)
_SERVE = """
import ctypes, runpy
ctypes.CDLL(None).prctl(1, 15)
runpy.run_module("labeld", run_name="__main__", alter_sys=True)
"""
"""`python -m labeld`, which gets SIGTERM (15) when the comparison is killed (PR_SET_PDEATHSIG, prctl.h)."""
_ENDS_WITHIN = 30.0
"""Seconds in which it ends by itself, before it is killed."""
_UNSET = ("uds", "models", "log_format", "workers", "host", "port", "otlp_endpoint", "pin")
"""Settings of the environment that are the operator's server's, and not this one's."""


class OwnServer:
    """A running server; `url` is where it answers, `pid` its process."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid


@contextmanager
def own_server(model: str, flags: Mapping[str, Any]) -> Iterator[OwnServer]:
    """Serves a model with the settings of these flags, and of the environment, until the context ends.

    Raises LabeldError with the server's own sentence when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="labeld-") as folder:
        variables = inherited_environment(map(variable, _UNSET))
        variables[variable("tokens_db")] = str(Path(folder, "tokens.sqlite3"))  # none was ever made: it asks for none
        with Path(folder, "stderr").open("w+b") as log:
            process = subprocess.Popen(  # noqa: S603  # our own command
                [sys.executable, "-c", _SERVE, "serve", model, *_arguments(flags)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=variables,
                start_new_session=True,  # Ctrl-C is for the comparison, which then ends it
            )
            assert process.stdout is not None
            ready: Future[str | None] = Future()
            reader = threading.Thread(target=_read, args=(process.stdout, ready), daemon=True)
            reader.start()
            try:
                yield OwnServer(ready.result() or _not_started(log), process.pid)
            finally:
                _end(process)
                reader.join(_ENDS_WITHIN)
                process.stdout.close()


def _arguments(flags: Mapping[str, Any]) -> list[str]:
    own = ["--host", "127.0.0.1", "--port", "0", "--workers", "1", "--log-format", "text", "--cache-bytes", "0"]
    for name, value in flags.items():
        if isinstance(value, bool):
            own.append(flag(name) if value else f"--no-{flag(name)[2:]}")
        elif value is not None:
            own += [flag(name), str(value)]
    return own


def _read(output: IO[bytes], ready: "Future[str | None]") -> None:
    """Reads all that it prints, since it would wait for room in the pipe; `ready` becomes its URL, or None."""
    for line in output:
        if (found := _READY.search(line)) and not ready.done():
            ready.set_result(found[1].decode())
    if not ready.done():
        ready.set_result(None)


def _not_started(log: IO[bytes]) -> NoReturn:
    log.seek(0)
    reason = _REASON.search(log.read().decode(errors="replace"))
    raise LabeldError(reason[1]) if reason else UnavailableError("labeld itself did not start: try `labeld serve`.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN)
    except BaseException as interruption:  # a second Ctrl-C included: then everything ends now
        os.killpg(process.pid, 9)
        process.wait()
        if not isinstance(interruption, subprocess.TimeoutExpired):
            raise
