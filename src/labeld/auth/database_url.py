"""Where access tokens are kept: what the setting `keys` means. Does not load the database's library."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from labeld.errors import SettingsError

DEFAULT = Path("~/.local/share/labeld/tokens.sqlite3")
SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class Location:
    """A SQLite file, or a PostgreSQL database."""

    path: Path | None
    url: str | None = None
    """NOTE: may hold a password, so it is never shown."""

    def made(self) -> bool:
        """Whether there is a database to look into; PostgreSQL always is, even if nothing is in it yet."""
        return self.path is None or self.path.exists()


def locate(tokens_db: str | None) -> Location:
    """The location that the setting names; raises SettingsError when it cannot be one."""
    if tokens_db is None or "://" not in tokens_db:
        path = (DEFAULT if tokens_db is None else Path(tokens_db)).expanduser()
        if not path.name or path.is_dir():
            raise SettingsError("tokens_db is a folder, but must be the file of a SQLite database, or postgresql://….")
        return Location(path.absolute())
    scheme, _, rest = tokens_db.partition("://")
    if scheme not in SCHEMES or not rest:
        raise SettingsError("tokens_db is a URL, but must be a file, or postgresql://user@host/database.")
    if find_spec("psycopg") is None:
        raise SettingsError(
            "The setting tokens_db names PostgreSQL, which needs psycopg: pip install 'labeld[postgres]'."
        )
    return Location(None, f"postgresql+psycopg://{rest}")
