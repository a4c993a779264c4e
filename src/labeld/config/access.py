"""The settings of access control: access tokens, accepted Host names, and origins of web pages."""

from dataclasses import dataclass

from labeld.config.fields import setting


@dataclass(frozen=True, slots=True)
class Access:
    """Access tokens."""

    tokens_db: str | None = setting(
        None,
        "Database of the access tokens: a SQLite file, or postgresql://user@host/database (needs labeld[postgres]); "
        "default: ~/.local/share/labeld/tokens.sqlite3. Back up the database and its .secret together.",
    )
    tokens_secret: str | None = setting(
        None,
        "64 hexadecimal digits with which access tokens are hashed; all servers of one database share them. Required "
        "with PostgreSQL; default: a file beside the SQLite file, which is made once.",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Sites:
    """Accepted Host names, and web pages that may use the API."""

    hosts: tuple[str, ...] = setting(
        (),
        "Accepted Host names beside localhost and IP addresses (comma-separated), .example.org for a domain and all "
        "below it; others are refused.",
    )
    root_path: str = setting(
        "",
        "Path at which a reverse proxy serves this server, such as /labeld; requests may come with and without it.",
    )
    origins: tuple[str, ...] = setting(
        (),
        "Origins whose web pages may use the API from browsers: https://example.org, chrome-extension://<id>, "
        "tauri://localhost (comma-separated).",
    )
