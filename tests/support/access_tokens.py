"""Access tokens for tests of a server, made in its database as another process would."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labeld.auth.database_url import locate
from labeld.auth.records import AccessToken, NewToken
from labeld.auth.secret import open_secret
from labeld.auth.store import TokenStore
from labeld.auth.token_format import new_token

HOUR = 3600.0


@dataclass
class AccessTokens:
    """A database of access tokens, with one of each kind in it."""

    path: Path
    tokens: dict[str, str] = field(default_factory=dict)
    """By name."""
    ids: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def store(self, ago: float = 0.0) -> Iterator[TokenStore]:
        """The database, seen so many seconds ago."""
        location = locate(str(self.path))
        store = TokenStore(location, open_secret(location, None), lambda: time.time() - ago)
        try:
            yield store
        finally:
            store.close()

    def make(self, name: str, ago: float = 0.0, **wanted: Any) -> str:
        """A new token."""
        with self.store(ago) as store:
            access_token, token = store.create(NewToken(name, **wanted))
        self.tokens[name], self.ids[name] = token, access_token.token_id
        return token

    def revoke(self, name: str) -> AccessToken:
        """Ends it."""
        with self.store() as store:
            return store.revoke(self.ids[name])

    @property
    def dead(self) -> dict[str, str]:
        """Tokens that count no longer, or never did, by what is wrong with them."""
        other = "hf_" + "".join(reversed(self.tokens["user"][3:]))
        return {
            "unknown": new_token(),
            "malformed": other,
            "short": "hf_abc",
            "revoked": self.tokens["revoked"],
            "expired": self.tokens["expired"],
            "rotated": self.tokens["rotated"],
        }


def some_access_tokens(folder: Path) -> AccessTokens:
    """`user` and `admin` count; `revoked`, `expired` and `rotated` do no longer."""
    access_tokens = AccessTokens(folder / "some-tokens.sqlite3")
    access_tokens.make("user")
    access_tokens.make("admin", role="admin")
    access_tokens.make("revoked")
    access_tokens.revoke("revoked")
    access_tokens.make("expired", ago=2 * HOUR, expires=time.time() - HOUR)
    access_tokens.make("rotated")
    with access_tokens.store() as store:
        store.rotate(access_tokens.ids["rotated"])
    return access_tokens
