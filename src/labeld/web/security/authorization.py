"""Who may ask for what: every route says what it needs, and a request is let through or told why not.

Which names and web pages are let in at all is `origins`' business, and comes first.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from starlette.types import Scope

from labeld.auth.authenticator import Keyring
from labeld.auth.errors import AnonymousError, ForbiddenKeyError, ForeignOriginError, UnknownKeyError
from labeld.auth.records import Key, Role
from labeld.config.settings import Listen

_CREDENTIALS = re.compile(r"bearer(?:[ \t]+|:[ \t]*)(\S+)", re.IGNORECASE)
"""`Bearer`, in any case, or `Bearer:` as some documents print it (contract section 9.2)."""


class Needs(NamedTuple):
    """What a route needs of who asks."""

    role: Role | None
    """None = nobody needs to be known. An admin may do whatever the others may."""
    is_page: bool = False
    """Whether it is for people in a browser: links of other sites may lead there, but no page of another site, not even
    one that the settings name, may ask for it."""


PUBLIC = Needs(None)
PAGE = Needs(None, is_page=True)
INFERENCE = Needs("inference")
INFERENCE_PAGE = Needs("inference", is_page=True)
ADMIN_PAGE = Needs("admin", is_page=True)


class Sessions(Protocol):
    """Browsers in which somebody has signed in."""

    def caller(self, headers: Mapping[str, str]) -> Key | None:
        """The key of who has signed in, if the headers have the cookie of a session that counts."""
        ...


class Access:
    """Lets requests through. For one event loop."""

    def __init__(self, listen: Listen, keyring: Keyring, sessions: Sessions | None = None) -> None:
        self.keyring, self.sessions = keyring, sessions
        self._is_loopback, self._may_be_open = listen.is_loopback, listen.is_loopback or listen.allow_anonymous

    @property
    def is_open(self) -> bool:
        """Whether anybody may ask, because no key was ever made. Whatever token a client sends then means nothing."""
        return self._may_be_open and self.keyring.empty

    async def caller(self, needs: Needs, scope: Scope) -> Key | None:
        """Whose key the request has; None where nobody needs to be known. `scope["state"]` has headers and source.

        Raises ForeignOriginError, AnonymousError, UnknownKeyError, ForbiddenKeyError for the wrong role,
        RateLimitedError, or KeyStoreUnavailableError.
        """
        source = scope["state"]["source"]
        if (source.origin is not None) if needs.is_page else source.is_link:
            raise ForeignOriginError(source.origin)
        # NOTE: an address that others can reach is never open to whoever would make the first access token
        if needs.role is None or (self.is_open and (needs.role != "admin" or self._is_loopback)):
            return None
        key = await self._identified(scope)
        if needs.role == "admin" and key.role != "admin":
            raise ForbiddenKeyError(f"This access token has the role {key.role}, but here the role admin is needed.")
        self.keyring.admit(key)
        self.keyring.used(key)
        return key

    async def _identified(self, scope: Scope) -> Key:
        headers = scope["state"]["headers"]
        authorization = headers.get("authorization")
        if authorization is None:
            return self._signed_in(scope)
        if len(headers) != len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"authorization") > 1:
            raise AnonymousError
        token = bearer_token(authorization)
        if token is None:
            raise AnonymousError
        try:
            return self.keyring.find(token)
        except UnknownKeyError:
            return await self.keyring.find_new(token)

    def _signed_in(self, scope: Scope) -> Key:
        """Whose session it is; of our own pages only, because a browser sends the cookie for other sites' pages too."""
        headers = scope["state"]["headers"]
        if self.sessions and "cookie" in headers and scope["state"]["source"].origin is None:
            key = self.sessions.caller(headers)
            if key is not None:
                return key
        raise AnonymousError


def bearer_token(authorization: str | None) -> str | None:
    """The token in the value of an Authorization header; None where there is none."""
    if authorization is None:
        return None
    found = _CREDENTIALS.fullmatch(authorization.strip())
    return found[1] if found else None


def require_model(key: Key | None, found: str) -> None:
    """Raises ForbiddenKeyError when the key may not use this model.

    `found` is its id as the server has found it, with or without a revision, and never as the client spells it.
    """
    if key is not None and not key.allows(found.partition("@")[0]):
        raise ForbiddenKeyError(
            f"This access token may not use the model {found}, only {', '.join(key.models)}: take another token."
        )
