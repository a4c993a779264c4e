"""Where access tokens are kept: what the setting `keys` means. Does not load the database's library."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from labeld.errors import SettingsError

DEFAULT = Path("~/.local/share/labeld/keys.sqlite3")
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


def locate(keys: str | None) -> Location:
    """The location that the setting names; raises SettingsError when it cannot be one."""
    if keys is None or "://" not in keys:
        path = (DEFAULT if keys is None else Path(keys)).expanduser()
        if not path.name or path.is_dir():
            raise SettingsError("keys is a folder, but must be the file of a SQLite database, or postgresql://….")
        return Location(path.absolute())
    scheme, _, rest = keys.partition("://")
    if scheme not in SCHEMES or not rest:
        raise SettingsError("keys is a URL, but must be a file, or postgresql://user@host/database.")
    if find_spec("psycopg") is None:
        raise SettingsError("The setting keys names PostgreSQL, which needs psycopg: pip install 'labeld[postgres]'.")
    return Location(None, f"postgresql+psycopg://{rest}")
