"""The tables of access tokens, and connections to their database, SQLite or PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.pool import NullPool

from labeld.auth.database_url import Location
from labeld.auth.errors import TokenStoreUnavailableError
from labeld.errors import SettingsError

WAIT_SECONDS = 2
"""Seconds to wait for a connection to PostgreSQL, or for its answer."""

LOCK_SECONDS = 8
"""Seconds to wait for the lock of SQLite's file, which is never held for long, but may be contended on a slow disk."""

TABLES = MetaData()

TOKENS = Table(
    "labeld_tokens",
    TABLES,
    Column("token_id", String(12), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    Column("models", Text, nullable=False),
    Column("expires", Float(53)),
    Column("per_minute", Integer),
    Column("created", Float(53), nullable=False),
    Column("last_used", Float(53)),
    Column("revoked", Float(53)),
)
"""One row per access token, revoked ones included."""

_UNREVOKED = text("revoked IS NULL")
Index("labeld_tokens_name", TOKENS.c.name, unique=True, sqlite_where=_UNREVOKED, postgresql_where=_UNREVOKED)

METADATA = Table("labeld_metadata", TABLES, Column("name", String(16), primary_key=True), Column("value", String(64)))
"""Rows `schema`, the version of these tables; `secret`, its fingerprint; `version`, replaced at every change."""

SIGN_INS = Table(
    "labeld_sign_ins",
    TABLES,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("expires", BigInteger, nullable=False),
)
"""Used sign-in codes, with the time at which each expired."""

_ADVISORY_LOCK = 0x6C6162656C64
"""Lock under which one process makes the tables of PostgreSQL, since IF NOT EXISTS does not prevent a race."""

DAMAGED = "is damaged: bring back a copy of it"

_SQLITE_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another program: try again in a moment",
    sqlite3.SQLITE_CANTOPEN: "is gone, or its file may not be opened by this user",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_FULL: "cannot be written, because its disk is full",
    sqlite3.SQLITE_NOTADB: "is no SQLite database: the setting tokens_db names another file",
    sqlite3.SQLITE_PERM: "may not be written by this user",
    sqlite3.SQLITE_READONLY: "may not be written by this user",
}
_POSTGRES_REASONS = {
    "28": "does not let this user in",
    "3D": "does not exist on its server",
    "42": "does not let this user use its tables, or lacks them",
    "53": "has no room, or no connection left",
}
"""Reasons by the class of SQLSTATE."""


class Database:
    """Transactions of one database. Blocking and thread-safe."""

    def __init__(self, location: Location) -> None:
        """Connects to nothing yet. Raises SettingsError when the URL is malformed or its driver is missing."""
        self._path = location.path
        if location.path is not None:
            # NOTE: no pool: a kept connection would go on reading a file that has been replaced
            self._engine = create_engine("sqlite://", creator=partial(_connect, location.path), poolclass=NullPool)
            event.listen(self._engine, "begin", _begin)
        else:
            self._engine = _postgres(location.url or "")

    def make(self) -> None:
        """Creates SQLite's file, readable by its owner only, unless it exists; does nothing for PostgreSQL."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        except OSError as error:
            raise TokenStoreUnavailableError(f"cannot be made: {error.strerror}") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction. Raises TokenStoreUnavailableError."""
        with _errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, exclusive: bool = False) -> Iterator[Connection]:
        """A transaction that is on disk when the context ends; `exclusive` ones of all processes run one at a time.

        Raises TokenStoreUnavailableError, or IntegrityError.
        """
        with _errors(), self._engine.execution_options(writes=True).begin() as connection:
            if exclusive and self._path is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            yield connection

    def close(self) -> None:
        """Ends the connections."""
        self._engine.dispose()


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing file; a deleted one must not be recreated empty."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=LOCK_SECONDS,
        isolation_level=None,  # `_begin` begins transactions
        check_same_thread=False,
    )
    try:
        # NOTE: not WAL, which SQLite 3.7.0 to 3.51.2 can lose (reliability section 3.7). EXTRA is FULL and also syncs
        # the folder after the journal is deleted, without which a power cut could restore a revoked token.
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=EXTRA")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: str) -> Engine:
    arguments: dict[str, Any] = {
        "connect_timeout": WAIT_SECONDS,
        "options": f"-c statement_timeout={WAIT_SECONDS * 1000} -c synchronous_commit=on",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": WAIT_SECONDS * 2000,
        "application_name": "labeld",
    }
    try:
        return create_engine(url, connect_args=arguments, pool_size=2, max_overflow=2, pool_pre_ping=True)
    except ImportError:
        raise SettingsError(
            "The setting tokens_db names PostgreSQL, which needs psycopg: pip install 'labeld[postgres]'."
        ) from None
    except (ArgumentError, ValueError):
        raise SettingsError(
            "tokens_db is a URL that cannot be read: write postgresql://user@host:port/database."
        ) from None


@contextmanager
def _errors() -> Iterator[None]:
    """Turns errors of the database library into TokenStoreUnavailableError."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise TokenStoreUnavailableError(_reason(error.orig)) from error
    except NoConnectionError as error:  # every connection of the pool is in use
        raise TokenStoreUnavailableError from error
    except sqlite3.Error as error:
        raise TokenStoreUnavailableError(_reason(error)) from error


def _reason(error: BaseException | None) -> str:
    default = "does not answer: try again in a moment"
    if isinstance(error, sqlite3.Error):
        return _SQLITE_REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, default)
    return _POSTGRES_REASONS.get((getattr(error, "sqlstate", None) or "")[:2], default)
