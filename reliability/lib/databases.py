"""PostgreSQL where it is installed, alone or with a standby that follows it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.postgres_process import USER, Postgres, postgres_server


class Standby(Postgres):
    """A server that follows another one, until it is promoted."""

    def follow(self, primary: Postgres) -> None:
        """Becomes a copy of the other one, which goes on receiving its changes."""
        shutil.rmtree(self._data)
        where = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", USER]
        program = [*self._user, str(self._programs / "pg_basebackup"), "-D", str(self._data), "-R", "-c", "fast"]
        subprocess.run([*program, *where], check=True, capture_output=True, cwd="/")
        self.start()

    def promote(self) -> None:
        """Takes writes from now on."""
        self._run("pg_ctl", "-w", "promote")


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, of its newest version."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = installed[-1] if installed else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def postgres() -> Iterator[Postgres | None]:
    """A running PostgreSQL; None where it is not installed."""
    if _programs() is None:
        yield None
        return
    with postgres_server() as running:
        yield running


@contextmanager
def standby_of(primary: Postgres) -> Iterator[Standby]:
    """A server that follows this one."""
    programs = _programs()
    assert programs is not None, "a primary runs"
    with tempfile.TemporaryDirectory(prefix="labeld-postgres-") as folder:
        server = Standby(programs, Path(folder))
        server.follow(primary)
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.stop()
