"""A real `labeld serve` process, which is always ended, whatever happens here."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.lib.client import Connection, get
from benchmarks.lib.subreaper import descendants

READY_WITHIN = 60.0
ENDS_WITHIN = 40.0
"""A server drains for 30 seconds at most."""
SPARE = 32 * 1024 * 1024
"""Bytes by which the memory of two equal servers may differ."""


class Server:
    """`labeld serve` on a free port, by default without its answer cache, as a context; ready when it is entered.

    With `core` it has that core only.
    """

    def __init__(self, *arguments: str, cache: Path, core: int | None = None) -> None:
        self.port = free_port()
        self._command = [*on_core(core), *serve_command(self.port, cache), *arguments]
        self.seconds_to_ready = 0.0
        """From starting the process to the first successful answer of GET /ready."""

    def __enter__(self) -> Self:
        began = time.perf_counter()
        # NOTE: a session of its own, so that Ctrl-C reaches the benchmark only, which then ends the server in order
        self._process = subprocess.Popen(
            self._command, env=clean_environment(), stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while not self._answers():
                if self._process.poll() is not None:
                    sys.exit(f"The server ended with code {self._process.returncode}: {' '.join(self._command)}")
                if time.perf_counter() - began > READY_WITHIN:
                    sys.exit(f"The server was not ready within {READY_WITHIN:g} s: {' '.join(self._command)}")
                time.sleep(0.005)
            self.seconds_to_ready = time.perf_counter() - began
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def peak_memory(self) -> dict[str, int]:
        """Peak resident bytes (VmHWM) of the worker, and what the other processes take now beside it (Pss).

        Pss counts a page that several processes have in equal parts, so that shared libraries count once.
        """
        *others, worker = sorted((self._process.pid, *descendants(self._process.pid)), key=peak)
        return {"worker": peak(worker), "others": sum(proportional(pid) for pid in others)}

    def status(self) -> dict[str, Any]:
        """The reply of GET /status."""
        with Connection(self.port) as connection:
            found: dict[str, Any] = json.loads(connection.ask(get("/status"))[1])
        return found

    def _answers(self) -> bool:
        """Whether GET /ready says 200. A connection made before the worker is there waits for it."""
        try:
            with Connection(self.port) as connection:
                return connection.ask(get("/ready"))[0] == 200
        except OSError:
            return False

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(ENDS_WITHIN)
        except BaseException:  # a second Ctrl-C while waiting included: then everything ends now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise


def serve_command(port: int, cache: Path) -> list[str]:
    """`labeld serve` on this port, without its answer cache: repeated requests would measure nothing."""
    command = shutil.which("labeld", path=str(Path(sys.executable).parent)) or shutil.which("labeld")
    if command is None:
        sys.exit("The labeld command is not installed: pip install -e .")
    own = cache / "labeld"
    folders = ["--cache-dir", str(own), "--tokens-db", str(own / "no-tokens.sqlite3")]
    return [command, "serve", "--port", str(port), *folders, "--cache-bytes", "0"]


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of labeld and of the Hub; modules are compiled once, as installed."""
    others = ("LABELD_", "HF_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}


def on_core(core: int | None) -> list[str]:
    """The start of a command that runs on this core only; nothing for all cores."""
    return [] if core is None else ["taskset", "--cpu-list", str(core)]


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def peak(pid: int | str) -> int:
    """Peak resident bytes of one process; `"self"` is this one."""
    return _bytes(Path(f"/proc/{pid}/status"), "VmHWM:")


def resident(pid: int | str) -> int:
    """Resident bytes of one process now."""
    return _bytes(Path(f"/proc/{pid}/status"), "VmRSS:")


def unshared(pid: int | str) -> int:
    """Bytes of one process that no file could give back, which is what its memory budget is about."""
    return _bytes(Path(f"/proc/{pid}/status"), "RssAnon:")


def proportional(pid: int) -> int:
    """Resident bytes of one process, a page it shares with others in equal parts."""
    return _bytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _bytes(file: Path, name: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in file.read_text().splitlines() if line.startswith(name))


def budget_for(models: float, cache: Path) -> int:
    """A memory budget that leaves so many bytes to models, beside what a server with the bundled one uses."""
    with Server(cache=cache) as server:
        used: int = server.status()["memory"]["used"]
    return used + int(models) + SPARE
