"""The settings of who may ask, and of what is written down about it. `settings` has the others, and reads them all."""

from dataclasses import dataclass
from typing import Literal

from labeld.setting import setting


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask."""

    keys: str | None = setting(
        None,
        "Where access tokens are kept: a file, or postgresql://user@host/database, which needs the extra postgres. "
        "None = ~/.local/share/labeld/keys.sqlite3.",
    )
    keys_secret: str | None = setting(
        None,
        "64 hexadecimal digits with which stored access tokens are hashed; all servers of one database share them. "
        "None = a file beside the SQLite file, made once; PostgreSQL needs it.",
        secret=True,
    )
    hosts: tuple[str, ...] = setting(
        (),
        "Names of this server, beside localhost and its IP addresses; a request to any other name is refused (a comma "
        "between two).",
    )
    origins: tuple[str, ...] = setting(
        (),
        "Sites whose web pages may ask the API from their visitors' browsers: https://example.org (a comma between "
        "two).",
    )


@dataclass(frozen=True, slots=True)
class Logs:
    """What is written down."""

    log_format: Literal["text", "json"] = setting(
        "text", "text: warnings for people; json: all as lines of JSON, and one line for each request."
    )
    log_texts: bool = setting(False, "Write the texts of requests into the lines of JSON, too.")
