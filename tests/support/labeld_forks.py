"""labeld commands that begin as forks of a process which has imported labeld already, as labeld's own workers do.

Importing is most of the work of a start: a test process pays it once. Run as a script, this is the process that forks.
"""

import array
import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

LABELD = str(Path(sys.executable).with_name("labeld"))
IMPORTED = (
    *("labeld.cli.main", "labeld.server.run", "labeld.server.http_protocol", "labeld.web.factory", "labeld.web.app"),
    *("labeld.metrics.prometheus", "labeld.web.hosting", "labeld.web.monitoring.log_lines", "labeld.service.build"),
    *("labeld.engines.openvino.engine", "labeld.classifier", "labeld.auth.store", "jinja2"),
)
"""What a server imports until it is ready; nothing that reads the environment as it is imported."""
READ_LATER = ("HF_", "LABELD_", "OTEL_", "PYTEST_")
"""How the variables begin that no module reads which is imported before the fork."""
IMPORTED_LATER = {"huggingface_hub", "opentelemetry"}
"""Libraries that read some of them as they are imported."""
TRAINING = ("labeld.distillation.distill", "transformers.models.bert.modeling_bert")
"""What `labeld distill` imports besides, which takes seconds; huggingface_hub, too, which reads HF_ variables."""
REQUEST_BYTES = 1_000_000
RUN_LIMIT = 120.0


class Forked:
    """A command that runs: the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, status: int, stdout: IO[bytes]) -> None:
        self.pid, self._status, self.stdout = pid, status, stdout
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, minus the signal's number if one ended it; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(LABELD, timeout or 0)
            self.returncode = int(os.read(self._status, 10))
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signals it, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Forker:
    """The process that forks, as this process talks to it."""

    def __init__(self, more: tuple[str, ...]) -> None:
        self._read_later = tuple(one for one in READ_LATER if not (more and one == "HF_"))
        self._control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_control:
            number = its_control.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(number), *more],
                pass_fds=[number],
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the tests, which then end it
            )
        self._environment = dict(os.environ)
        atexit.register(self.end)

    def end(self) -> None:
        """It ends when nobody holds the other end."""
        self._control.close()
        self._process.wait(10)

    def can_start(self, environment: dict[str, str]) -> bool:
        """Whether libraries that were imported with its environment behave as they would with this one."""
        names = environment.keys() | self._environment.keys()
        changed = {name for name in names if environment.get(name) != self._environment.get(name)}
        return all(name.startswith(self._read_later) for name in changed)

    def start(
        self, arguments: list[str], environment: dict[str, str], cwd: Path, standard: tuple[int, int, int]
    ) -> tuple[int, int]:
        """Forks a process that runs this command in a session of its own, with these as stdin, stdout and stderr.

        Its id, and a pipe that gets its exit code.
        """
        status, its_status = os.pipe()
        request = json.dumps([arguments, environment, str(cwd)]).encode()
        self._control.sendmsg(
            [request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [*standard, its_status]))]
        )
        os.close(its_status)
        return int(self._control.recv(10)), status


@cache
def _forker(_pid: int, more: tuple[str, ...] = ()) -> _Forker:
    return _Forker(more)


def start(
    arguments: list[str],
    environment: dict[str, str],
    cwd: Path,
    stderr: int,
    *,
    stdin: int = 0,
    more: tuple[str, ...] = (),
    anew: bool = False,
) -> Any:
    """`labeld ARGUMENTS` with a pipe for its stdout, in a session of its own: a `Forked`, or a `Popen` if `anew`.

    With other variables than those of READ_LATER it begins anew too: libraries read them as they are imported.
    `more` are modules that are imported before the fork, too, by a process of their own.
    """
    if not anew and (forker := _forker(os.getpid(), more)).can_start(environment):
        stdout, its_stdout = os.pipe()
        forked = forker.start(arguments, environment, cwd, (stdin, its_stdout, stderr))
        os.close(its_stdout)
        return Forked(*forked, FileIO(stdout))
    return subprocess.Popen(
        [LABELD, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        bufsize=0,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )


def run(arguments: list[str], environment: dict[str, str], stdin: str) -> "subprocess.CompletedProcess[str]":
    """How `labeld ARGUMENTS` ends within RUN_LIMIT, begun as `start` begins it."""
    forker = _forker(os.getpid())
    if not forker.can_start(environment):
        return subprocess.run(
            [LABELD, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT,
            check=False,
            env=environment,
        )
    with TemporaryFile() as given, TemporaryFile() as stdout, TemporaryFile() as stderr:
        given.write(stdin.encode())
        given.seek(0)
        standard = given.fileno(), stdout.fileno(), stderr.fileno()
        forked = Forked(*forker.start(arguments, environment, Path.cwd(), standard), stdout)
        try:
            code = forked.wait(RUN_LIMIT)
        finally:
            forked.kill()
        for file in (stdout, stderr):
            file.seek(0)
        return subprocess.CompletedProcess([LABELD, *arguments], code, stdout.read().decode(), stderr.read().decode())


def _fork_on_request(control: socket.socket) -> None:
    """Returns in each fork, which then is the command that was asked for."""
    statuses: dict[int, int] = {}
    wake, waker = os.pipe()
    for one in (wake, waker):
        os.set_blocking(one, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    while True:
        ready = select.select([control, wake], [], [])[0]
        if wake in ready:
            os.read(wake, 1000)
            _report_the_dead(statuses)
        if control in ready:
            request, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, 4)
            if not request:
                sys.exit()
            *standard, status = descriptors
            pid = os.fork()
            if pid == 0:
                break
            statuses[pid] = status
            control.send(str(pid).encode())
            for one in standard:
                os.close(one)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in (wake, waker, status, *statuses.values()):
        os.close(one)
    control.close()
    os.setsid()
    for number, one in enumerate(standard):
        os.dup2(one, number)
        os.close(one)
    arguments, environment, folder = json.loads(request)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [LABELD, *arguments]


def _report_the_dead(statuses: dict[int, int]) -> None:
    """Writes the exit code of each fork that has ended to its pipe."""
    for pid in [*statuses]:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with suppress(BrokenPipeError):
                os.write(statuses[pid], str(os.waitstatus_to_exitcode(status)).encode())
            os.close(statuses.pop(pid))


if __name__ == "__main__":
    descriptor, *more = sys.argv[1:]
    for name in (*IMPORTED, *more):
        import_module(name)
    assert more or not IMPORTED_LATER & sys.modules.keys()
    gc.collect()
    gc.freeze()  # or each fork would copy all of it, looking for garbage as it ends
    _fork_on_request(socket.socket(fileno=int(descriptor)))
    from labeld.__main__ import main

    main()
