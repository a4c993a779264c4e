"""A process that opens model folders in the worker's place: reading one may take long, memory, or a crash.

As a script it reads `[folder, weights]` as a line of JSON from standard input, and answers with a line: what is wrong,
or null. Every line that is empty says that Python ran: a parser holds its lock for as long as it takes, and in a worker
nobody would be answered meanwhile.
"""

import json
import os
import resource
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from labeld.errors import FolderError, UnavailableError, format_bytes
from labeld.lifecycle.errors import DeadlyFolderError
from labeld.system import memory
from labeld.system.printable import printable

TIME_LIMIT = 60.0
"""Seconds for one folder, the start of the process included."""
HOLD_LIMIT = 3.0
"""Seconds of computing in which Python's lock is not given up; a worker that answers no ping for 5 s is replaced."""
MEMORY_LIMIT = 1024 * 1024 * 1024
"""Bytes that reading a folder may take, at most; and never more than half of what there is."""
LOOK_EVERY = 0.05
"""Seconds between two looks at the process."""
BUSY_NICE = 10
"""By how much a process that nobody waits for lets others go first."""

DIED = "Reading its files ends the process that does: save them anew with transformers."
SLOW = f"Reading its files takes longer than {TIME_LIMIT:g} s: give it a smaller tokenizer."
HOLDS = (
    f"Reading its files takes more than {HOLD_LIMIT:g} s without a pause, in which nobody else would be answered: "
    "give it a smaller tokenizer."
)
GREEDY = "Reading its files takes more than {} of memory: give it a smaller tokenizer."


class FolderReader:
    """A process that reads model folders one after the other, as a context that ends it. For one thread at a time."""

    def __init__(self, stopping: threading.Event, *, nice: int = 0) -> None:
        """`stopping` ends a reading early. Raises UnavailableError where no process can be started."""
        self._stopping = stopping
        self._limit = min(MEMORY_LIMIT, memory.available() // 2)
        command = (sys.executable, "-P", "-m", __name__, str(nice))
        try:  # NOTE: what libraries write on their way down is nobody's log
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, and a module of labeld
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except OSError:
            raise UnavailableError("The server cannot start a process to read a model now: try again later.") from None
        self._lines = self._answers()
        self._in_use = threading.Lock()

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kills the process; a reading that waits for it on another thread then ends too."""
        self._process.kill()
        self._process.wait()
        with self._in_use:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()

    def read(self, folder: Path, *, weights: bool = True) -> None:
        """Reads what a load of the folder would parse, with or without its weights' headers.

        Raises FolderError naming what is wrong; DeadlyFolderError among them, after which this reader is of no use.
        """
        assert self._process.stdin is not None
        with self._in_use:
            with suppress(OSError):  # it has ended, which its answer says
                self._process.stdin.write(json.dumps([str(folder), weights]).encode() + b"\n")
            reason: str | None = json.loads(next(self._lines))
        if reason is not None:
            raise FolderError(reason)

    def _answers(self) -> Iterator[bytes]:
        """The lines that say something, looked for while the process is watched."""
        assert self._process.stdout is not None
        output, poll = self._process.stdout.fileno(), select.poll()
        poll.register(output, select.POLLIN)
        started, computed, text, imports = time.monotonic(), 0.0, b"", True
        while True:
            if poll.poll(1000 * LOOK_EVERY):
                chunk = os.read(output, 65536)
                if not chunk:
                    raise DeadlyFolderError(DIED)
                *lines, text = (text + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield line
                    started = time.monotonic()
                computed, imports = self._computed(), False
            self._require_within_limits(started, 0.0 if imports else self._computed() - computed)

    def _require_within_limits(self, started: float, held: float) -> None:
        if self._stopping.is_set():
            raise UnavailableError("The server is stopping: try again in a moment.")
        if time.monotonic() - started > TIME_LIMIT:
            raise DeadlyFolderError(SLOW)
        if held > HOLD_LIMIT:
            raise DeadlyFolderError(HOLDS)
        with suppress(OSError, ValueError):  # it has ended
            if memory.used(self._process.pid) > self._limit:
                raise DeadlyFolderError(GREEDY.format(format_bytes(self._limit)))

    def _computed(self) -> float:
        """Seconds of processor time that the process has taken."""
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0


def main() -> None:
    """Reads the folders of standard input."""
    from labeld.lifecycle.model import check_folder, check_without_weights  # noqa: PLC0415  # in this process only

    os.nice(int(sys.argv[1]))
    with suppress(OSError):  # where memory ends, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    out = os.dup(1)
    os.dup2(2, 1)
    writing = threading.Lock()
    threading.Thread(target=_beat, args=(out, writing), daemon=True).start()
    for line in sys.stdin:
        folder, weights = json.loads(line)
        _limit_time()
        reason = None
        try:
            (check_folder if weights else check_without_weights)(Path(folder))
        except FolderError as error:
            reason = printable(str(error))
        except BaseException:  # noqa: BLE001  # a library's own, whose words nobody needs; some are no Exception
            reason = "Its files are not as they should be."
        with writing:
            _write(out, json.dumps(reason).encode() + b"\n")


def _beat(out: int, writing: threading.Lock) -> None:
    while True:
        with writing:
            _write(out, b"\n")
        time.sleep(LOOK_EVERY)


def _write(out: int, text: bytes) -> None:
    try:
        while text:
            text = text[os.write(out, text) :]
    except OSError:  # nobody listens any more
        os._exit(1)


def _limit_time() -> None:
    """Ends this process by itself when it reads a folder for longer, also where the one that watches it has died."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    seconds = int(time.process_time() + TIME_LIMIT) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most == resource.RLIM_INFINITY else min(seconds, most), most))


if __name__ == "__main__":
    main()
