"""The store of access tokens: each operation is one transaction. Blocking and thread-safe.

Only the HMAC of a token is stored. Tokens are random, so a fast hash is as good as a slow one (reliability section
3.9).
"""

import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from labeld.auth import sign_in_codes
from labeld.auth.database import DAMAGED, METADATA, SIGN_INS, TABLES, TOKENS, Database
from labeld.auth.database_url import Location
from labeld.auth.errors import TokenNotFoundError, TokenRequestError, TokenStoreUnavailableError
from labeld.auth.records import AccessToken, NewToken, Snapshot
from labeld.auth.token_format import new_token
from labeld.errors import SettingsError

SCHEMA = "1"
_TOKEN_ID = re.compile(r"[0-9a-f]{12}")


def digest_of(secret: bytes, token: str) -> bytes:
    """HMAC of an access token or a sign-in code, 32 bytes, as the database stores it."""
    return hmac.digest(secret, token.encode(), "sha256")


class TokenStore:
    """The access tokens of one database, which is created when it is first used.

    Every method raises TokenStoreUnavailableError when the database cannot be used, and SettingsError when it was made
    with another secret or by a newer labeld.
    """

    def __init__(self, location: Location, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._database, self._secret, self._now = Database(location), secret, now
        self._fingerprint = hmac.digest(secret, b"labeld tokens", "sha256").hex()[:32]
        self._ready = False

    def create(self, request: NewToken) -> tuple[AccessToken, str]:
        """Makes an access token; returns its record and its text. Raises TokenRequestError."""
        now = self._now()
        request = request.validate(now)
        token = new_token()
        access_token = AccessToken(
            secrets.token_hex(6),
            request.name,
            request.role,
            request.models,
            request.expires,
            request.per_minute,
            now,
            last_used=None,
            revoked=None,
        )
        row = {name: getattr(access_token, name) for name in AccessToken.__slots__}
        row |= {"models": json.dumps(access_token.models), "digest": digest_of(self._secret, token)}
        self._prepare()
        try:
            with self._database.writing() as connection:
                connection.execute(insert(TOKENS).values(row))
                self._changed(connection)
        except IntegrityError:
            raise TokenRequestError(
                f"There is an access token with the name {request.name} already: take another name, or revoke that one."
            ) from None
        return access_token, token

    def revoke(self, token_id: str) -> AccessToken:
        """Revokes an access token, unless it is revoked, and returns its record. Raises TokenNotFoundError."""
        self._prepare()
        with self._database.writing() as connection:
            access_token = self._access_token(connection, token_id)
            if access_token.revoked is None:
                unrevoked = (TOKENS.c.token_id == token_id) & TOKENS.c.revoked.is_(None)
                connection.execute(update(TOKENS).where(unrevoked).values(revoked=self._now()))
                self._changed(connection)
            return self._access_token(connection, token_id)

    def rotate(self, token_id: str) -> tuple[AccessToken, str]:
        """Replaces the text of an access token; returns its record and its new text.

        Raises TokenNotFoundError, or TokenRequestError when it is revoked or has expired.
        """
        now, token = self._now(), new_token()
        self._prepare()
        with self._database.writing() as connection:
            access_token = self._access_token(connection, token_id, lock=True)
            if not access_token.live(now):
                raise TokenRequestError("An access token that is revoked or expired cannot be rotated: create another.")
            changes = {"digest": digest_of(self._secret, token), "created": now, "last_used": None}
            connection.execute(update(TOKENS).where(TOKENS.c.token_id == token_id).values(changes))
            self._changed(connection)
            return self._access_token(connection, token_id), token

    def everything(self) -> list[AccessToken]:
        """All access tokens, newest first, revoked and expired ones included."""
        self._prepare()
        with self._database.reading() as connection:
            rows = connection.execute(select(TOKENS).order_by(TOKENS.c.created.desc(), TOKENS.c.token_id))
            return [_access_token(row) for row in rows]

    def snapshot(self, known_version: str | None = None) -> Snapshot | None:
        """The access tokens that are not revoked; None when nothing has changed since `known_version`."""
        self._prepare()
        with self._database.reading() as connection:
            version = self._metadata(connection).get("version", "")
            if version == known_version:
                return None
            rows = connection.execute(select(TOKENS).where(TOKENS.c.revoked.is_(None)))
            access_tokens = {bytes(row.digest): _access_token(row) for row in rows}
            any_made = bool(access_tokens) or connection.execute(select(TOKENS.c.token_id).limit(1)).first() is not None
            return Snapshot(version, access_tokens, any_made)

    def touch(self, used: Mapping[str, float]) -> None:
        """Stores the times of last use, by token id, where later than those stored; `snapshot` sees no change."""
        self._prepare()
        with self._database.writing() as connection:
            for token_id, when in sorted(used.items()):  # NOTE: in one order, so that processes never deadlock
                earlier = TOKENS.c.last_used.is_(None) | (TOKENS.c.last_used < when)
                connection.execute(
                    update(TOKENS).where((TOKENS.c.token_id == token_id) & earlier).values(last_used=when)
                )

    def use_sign_in(self, code: str) -> bool:
        """Uses a sign-in code; False when it is invalid, expired or used."""
        now = self._now()
        known = sign_in_codes.read_code(self._secret, code)
        if known is None or not now < known.expires <= now + sign_in_codes.LONGEST_SECONDS:
            return False
        digest = hmac.digest(self._secret, known.payload, "sha256")
        self._prepare()
        try:
            with self._database.writing() as connection:
                # NOTE: kept for good, because no clock can say that a code will never count again; they are few
                connection.execute(insert(SIGN_INS).values(digest=digest, expires=known.expires))
        except IntegrityError:
            return False
        return True

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()

    def _prepare(self) -> None:
        """Creates the file and the tables, once."""
        if self._ready:
            return
        self._database.make()
        with self._database.writing(exclusive=True) as connection:
            TABLES.create_all(connection)
            if not connection.execute(select(METADATA.c.name).limit(1)).first():
                rows = {"schema": SCHEMA, "secret": self._fingerprint, "version": ""}
                connection.execute(insert(METADATA), [{"name": name, "value": value} for name, value in rows.items()])
            self._metadata(connection)
        self._ready = True

    def _metadata(self, connection: Connection) -> dict[str, str]:
        """The rows of METADATA; raises SettingsError when they are of another version or secret."""
        metadata = {row.name: row.value for row in connection.execute(select(METADATA))}
        if metadata.get("schema") != SCHEMA:
            raise SettingsError(
                "The database of access tokens was made by another version of labeld, which must use it."
            )
        if not hmac.compare_digest(metadata.get("secret", ""), self._fingerprint):
            raise SettingsError(
                "The access tokens were made with another secret: bring back the file with the secret, or the "
                "LABELD_TOKENS_SECRET, that this database was made with."
            )
        return metadata

    def _changed(self, connection: Connection) -> None:
        # NOTE: random, not counted, so that a database restored from a copy never seems unchanged
        connection.execute(update(METADATA).where(METADATA.c.name == "version").values(value=secrets.token_hex(8)))

    def _access_token(self, connection: Connection, token_id: str, *, lock: bool = False) -> AccessToken:
        query = select(TOKENS).where(TOKENS.c.token_id == token_id)
        row = (
            connection.execute(query.with_for_update() if lock else query).first()
            if _TOKEN_ID.fullmatch(token_id)
            else None
        )
        if row is None:
            raise TokenNotFoundError
        return _access_token(row)


def _access_token(row: Row[Any]) -> AccessToken:
    fields = {name: getattr(row, name) for name in AccessToken.__slots__}
    try:
        return AccessToken(**{**fields, "models": tuple(json.loads(row.models))})
    except (ValueError, TypeError) as error:
        raise TokenStoreUnavailableError(DAMAGED) from error
