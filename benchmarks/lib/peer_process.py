"""A server or a library in a process: started, asked for its first answer, its memory read, and ended."""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.lib import subreaper
from benchmarks.lib.peer import MODEL, Peer, PeerError, Variant
from benchmarks.lib.server import free_port, peak, proportional
from labeld.system.cpu import usable_cores

HEADERS = {"Content-Type": "application/json", "X-Use-Cache": "false"}
"""Of every request; the second is for labeld, so that it computes."""
ROOT, HOME = str(Path(__file__).parents[2]), str(Path.home())
LOG_END = 600
"""Characters of what a process wrote last, shown when it fails."""
SERVER_ENDS_WITHIN = subreaper.ENDS_WITHIN + 5.0
ERRORS_FOR = 30.0
"""Seconds for which a server that starts may answer with errors, as some do until their model is loaded."""


class Running:
    """A process and all that it starts, as a context: none is left behind, whatever happens here."""

    _asked_by_pipe = False
    """Whether its standard input and output are for questions and answers; else what it writes is kept as its log."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.command = list(command)
        self._environment = dict(environment)
        self._peak = 0

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()  # closed in __exit__
        self.began = time.perf_counter()
        # NOTE: a session of its own, so that Ctrl-C reaches the benchmark only, which then ends everything in order
        self.process = subprocess.Popen(
            [sys.executable, "-I", subreaper.__file__, *self.command],
            env=self._environment,
            stdin=subprocess.PIPE if self._asked_by_pipe else subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._asked_by_pipe else self._log,
            stderr=self._log,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(1.0 if kind is KeyboardInterrupt else SERVER_ENDS_WITHIN)
        except BaseException as interruption:  # a second Ctrl-C while waiting included: then everything ends now
            _signal([*subreaper.descendants(self.process.pid), self.process.pid], signal.SIGKILL)
            self.process.wait()
            if not isinstance(interruption, subprocess.TimeoutExpired):
                raise
        finally:
            self._log.close()
            for stream in filter(None, (self.process.stdin, self.process.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    @property
    def portable_command(self) -> list[str]:
        """The command as it is kept: without the folders of this machine."""
        return [one.replace(ROOT, ".").replace(HOME, "~") for one in self.command]

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Stops all its processes meanwhile: some keep a core busy while they wait for a request."""
        return self._meanwhile(signal.SIGSTOP, signal.SIGCONT)

    def resumed(self) -> contextlib.AbstractContextManager[None]:
        """Lets all its processes run meanwhile, within `paused`."""
        return self._meanwhile(signal.SIGCONT, signal.SIGSTOP)

    @contextlib.contextmanager
    def _meanwhile(self, first: signal.Signals, last: signal.Signals) -> Iterator[None]:
        everyone = subreaper.descendants(self.process.pid)
        try:
            _signal(everyone, first)
            yield
        finally:
            _signal(everyone, last)

    def peak_memory(self) -> int:
        """Most bytes seen so far: the peak (VmHWM) of the largest process, and what the others have (Pss).

        Pss counts a page that several processes have in equal parts, so that shared libraries count once.
        """
        alive = subreaper.descendants(self.process.pid)
        with contextlib.suppress(OSError, StopIteration, ValueError):  # one of them may end meanwhile
            *others, largest = sorted(alive, key=peak)
            self._peak = max(self._peak, peak(largest) + sum(map(proportional, others)))
        return self._peak

    def check(self) -> None:
        """Raises PeerError with the end of what it wrote when it does not run any more."""
        code = self.process.poll()
        if code is not None:
            raise PeerError(f"it ended with code {code}: {self.log_end()}")

    def log_end(self) -> str:
        """The end of what it wrote to stderr."""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return text[-LOG_END:] or "(it wrote nothing)"


class RunningServer(Running):
    """A server on a port of 127.0.0.1."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], port: int, path: str) -> None:
        super().__init__(command, environment)
        self.port, self.path = port, path

    def first_answer(self, body: bytes, within: float) -> float:
        """Seconds from starting the process to the first 200.

        Raises PeerError when it ends or hangs before, or answers with errors only.
        """
        said, answers, end = "nothing", False, self.began + within
        while (now := time.perf_counter()) < end:
            self.check()
            try:
                status, reply = self.ask(body, end - now)
            except (OSError, http.client.HTTPException) as error:
                said = said if answers else str(error)  # what it has answered says more than that time is up
                time.sleep(0.005)
                continue
            if status == 200:
                return time.perf_counter() - self.began
            if not answers:
                answers, end = True, min(end, now + ERRORS_FOR)
            said = f"{status} {reply[:200].decode(errors='replace')}"
            time.sleep(0.02)
        raise PeerError(f"it gave no answer within {end - self.began:.0f} s ({said}): {self.log_end()}")

    def ask(self, body: bytes, within: float) -> tuple[int, bytes]:
        """Status and body of the answer to one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within)
        with contextlib.closing(connection):
            connection.request("POST", self.path, body, HEADERS)
            reply = connection.getresponse()
            return reply.status, reply.read()


class Answers(NamedTuple):
    """A library's answer to a file of texts."""

    seconds: float
    rankings: Any


class RunningLibrary(Running):
    """A library in a process, asked over its standard input."""

    _asked_by_pipe = True

    def answers(self, file: Path, within: float) -> Answers:
        """The answer to a file of texts; raises PeerError when the process ends, hangs or writes anything else."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        line = b""
        with contextlib.suppress(BrokenPipeError):
            stdin.write(f"{file}\n".encode())
            stdin.flush()
            end = time.monotonic() + within
            while not line.endswith(b"\n"):
                if not select.select([stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                    raise PeerError(f"it gave no answer within {within:g} s: {self.log_end()}")
                if not (more := os.read(stdout.fileno(), 1 << 16)):
                    break
                line += more
        if not line.endswith(b"\n"):
            self.process.wait(SERVER_ENDS_WITHIN)
            self.check()
        try:
            found = json.loads(line)
            return Answers(float(found["seconds"]), found["rankings"])
        except (KeyError, TypeError, ValueError):
            raise PeerError(f"it said {line[:200]!r} instead of seconds and rankings.") from None


def peer_process(
    peer: Peer, variant: Variant, python: Path, folder: Path, cache: Path
) -> RunningLibrary | RunningServer:
    """A peer's process with the model of a folder, not yet started, with what belongs to it alone."""
    port = free_port()
    own = cache / "peers" / "files" / peer.name
    own.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(peer.script), "--model", str(folder)]
    command += [] if peer.in_process else ["--port", str(port)]
    command += ["--threads", str(usable_cores()), *variant.arguments]
    foreign = ("LABELD_", "HF_", "PYTHON", "VIRTUAL_ENV")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "COMPARE_CACHE": str(own)}
    environment = {**mine, **offline, **variant.environment}
    if peer.in_process:
        return RunningLibrary(command, environment)
    return RunningServer(command, environment, port, peer.path.replace(MODEL, folder.name))


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
