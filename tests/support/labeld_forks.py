"""labeld commands that begin as forks of a process which has imported labeld already, as labeld's own workers do.

Importing is most of the work of a start: a test process pays it once. Run as a script, this is the process that forks.
"""

import array
import atexit
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
from pathlib import Path
from typing import Any

LABELD = str(Path(sys.executable).with_name("labeld"))
IMPORTED = (
    *("labeld.cli.main", "labeld.server.run", "labeld.server.http_protocol", "labeld.web.factory", "labeld.web.app"),
    *("labeld.metrics.prometheus", "labeld.web.hosting", "labeld.web.monitoring.log_lines", "labeld.service.build"),
    *("labeld.engines.openvino.engine", "labeld.classifier", "labeld.auth.store", "jinja2"),
)
"""What a server imports until it is ready; nothing that reads the environment as it is imported."""
REQUEST_BYTES = 1_000_000


class Forked:
    """A command that runs: the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, status: int, stdout: int) -> None:
        self.pid, self._status = pid, status
        self.stdout = open(stdout, "rb", buffering=0)  # noqa: SIM115  # a pipe, closed by whoever stops it
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

    def __init__(self) -> None:
        self._control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_control:
            number = its_control.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(number)],
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
        return all(name.startswith(("LABELD_", "PYTEST_")) for name in changed)

    def start(self, arguments: list[str], environment: dict[str, str], cwd: Path, stderr: int) -> Forked:
        """A fork that runs this command in a session of its own, with a pipe for its stdout."""
        (status, its_status), (stdout, its_stdout) = os.pipe(), os.pipe()
        request = json.dumps([arguments, environment, str(cwd)]).encode()
        descriptors = array.array("i", [its_stdout, stderr, its_status])
        self._control.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        for one in (its_status, its_stdout):
            os.close(one)
        return Forked(int(self._control.recv(10)), status, stdout)


@cache
def _forker(_pid: int) -> _Forker:
    return _Forker()


def start(arguments: list[str], environment: dict[str, str], cwd: Path, stderr: int, *, anew: bool = False) -> Any:
    """`labeld ARGUMENTS` with a pipe for its stdout, in a session of its own: a `Forked`, or a `Popen` if `anew`.

    With other variables than LABELD_… it begins anew too: libraries read them as they are imported.
    """
    if not anew and (forker := _forker(os.getpid())).can_start(environment):
        return forker.start(arguments, environment, cwd, stderr)
    return subprocess.Popen(
        [LABELD, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        bufsize=0,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )


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
            request, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, 3)
            if not request:
                sys.exit()
            stdout, stderr, status = descriptors
            pid = os.fork()
            if pid == 0:
                break
            statuses[pid] = status
            control.send(str(pid).encode())
            for one in (stdout, stderr):
                os.close(one)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in (wake, waker, status, *statuses.values()):
        os.close(one)
    control.close()
    os.setsid()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for one in (stdout, stderr):
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
    for name in IMPORTED:
        import_module(name)
    _fork_on_request(socket.socket(fileno=int(sys.argv[1])))
    from labeld.__main__ import main

    main()
