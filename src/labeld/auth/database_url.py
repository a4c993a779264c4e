"""The location of the access tokens, from the setting `tokens_db`. Imports no database library."""

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from labeld.errors import SettingsError

DEFAULT = Path("~/.local/share/labeld/tokens.sqlite3")
"""Database where the setting is not given."""

BESIDE = ("", ".secret", "-wal", "-shm", "-journal")
"""What is behind the database's name in those of the files that belong to it."""

SCHEMES = ("postgresql", "postgres")
"""Schemes of a PostgreSQL URL."""


@dataclass(frozen=True, slots=True)
class Location:
    """A SQLite file, or a PostgreSQL database."""

    path: Path | None
    url: str | None = None
    """NOTE: it may contain a password, so it is never logged or shown."""

    def made(self) -> bool:
        """True when the database exists; one of PostgreSQL is assumed to, even if it is still empty."""
        return self.path is None or self.path.exists()

    def open_to_others(self) -> list[str]:
        """Names of the database's files, the secret and SQLite's own among them, that other users may read or write."""
        names = []
        if self.path is not None:
            for name in (f"{self.path.name}{suffix}" for suffix in BESIDE):
                with suppress(OSError):
                    if self.path.with_name(name).stat().st_mode & 0o077:
                        names.append(name)
        return names


def locate(tokens_db: str | None) -> Location:
    """The location that the setting names; raises SettingsError when it names a folder or another kind of URL."""
    if tokens_db is None or "://" not in tokens_db:
        try:
            path = (DEFAULT if tokens_db is None else Path(tokens_db)).expanduser()
        except RuntimeError:
            raise SettingsError(
                "tokens_db is below a home folder, but this user has none: name a file in LABELD_TOKENS_DB."
            ) from None
        if not path.name or path.is_dir():
            raise SettingsError("tokens_db is a folder, but must be the file of a SQLite database, or postgresql://….")
        if path.exists() and not path.is_file():
            raise SettingsError("tokens_db is a device or a pipe, but must be a file, or postgresql://….")
        return Location(path.absolute())
    scheme, _, rest = tokens_db.partition("://")
    if scheme not in SCHEMES or not rest:
        raise SettingsError("tokens_db is a URL, but must be a file, or postgresql://user@host/database.")
    if find_spec("psycopg") is None:
        raise SettingsError(
            "The setting tokens_db names PostgreSQL, which needs psycopg: pip install 'labeld[postgres]'."
        )
    return Location(None, f"postgresql+psycopg://{rest}")
