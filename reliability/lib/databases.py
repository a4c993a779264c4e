"""PostgreSQL where it is installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres_process import Postgres, postgres_server


@contextmanager
def postgres() -> Iterator[Postgres | None]:
    """A running PostgreSQL; None where it is not installed."""
    if not shutil.which("initdb") and not [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]:
        yield None
        return
    with postgres_server() as running:
        yield running
