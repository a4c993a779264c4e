"""A real PostgreSQL for tests, on a free port, which can be stopped and started again."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.tools import program

USER = "labeld"


class Postgres:
    """One server with a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._data = programs, folder / "data"
        # NOTE: PostgreSQL refuses to be root, who in a container runs the tests
        self._user = (
            ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if os.getuid() == 0 else []
        )
        if self._user:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-A", "trust", "-U", USER, "--no-sync", "-E", "UTF8", "--locale", "C")
        self._databases = 0

    def start(self) -> None:
        """Until it answers."""
        options = f"-p {self.port} -k {self._data} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB"
        self._run("pg_ctl", "-w", "-t", "60", "-l", str(self._data / "log"), "-o", options, "start")

    def stop(self) -> None:
        """At once, as if the machine had gone."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def pause(self) -> None:
        """None of its processes runs any more, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `pause`."""
        self._signal(signal.SIGCONT)

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"keys{self._databases}"
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        subprocess.run([self._programs / "createdb", *where, name], check=True, capture_output=True)
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def _signal(self, number: signal.Signals) -> None:
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._user, str(self._programs / program), "-D", str(self._data), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A running server; skips the test where PostgreSQL is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(installed[-1]) if installed else program("initdb")
    with tempfile.TemporaryDirectory(prefix="labeld-postgres-") as folder:
        server = Postgres(Path(found).resolve().parent, Path(folder))
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # a test may have stopped it
                server.stop()
