"""Authorization: every route has a policy, and a request is let through or refused with a reason.

Which names and web pages are let in at all is the business of `hosts` and `csrf`, and comes first.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from starlette.types import Scope

from labeld.auth.authenticator import Authenticator
from labeld.auth.errors import AnonymousError, ForbiddenTokenError, ForeignOriginError, UnknownTokenError
from labeld.auth.records import AccessToken, Role
from labeld.config.settings import Listen
from labeld.web.request_state import state_of

_CREDENTIALS = re.compile(r"bearer(?:[ \t]+|:[ \t]*)(\S+)", re.IGNORECASE)
"""`Bearer`, in any case, or `Bearer:` as some documents print it (contract section 9.2)."""


class RoutePolicy(NamedTuple):
    """The callers that a route is for."""

    role: Role | None
    """None where no token is needed. An admin may do whatever the others may."""
    is_page: bool = False
    """True for a page for people: links of other sites may lead there, but no page of another site may request it, not
    even one that the settings name."""


PUBLIC = RoutePolicy(None)
PAGE = RoutePolicy(None, is_page=True)
INFERENCE = RoutePolicy("inference")
INFERENCE_PAGE = RoutePolicy("inference", is_page=True)
ADMIN_PAGE = RoutePolicy("admin", is_page=True)


class Sessions(Protocol):
    """The interface of sessions."""

    def caller(self, headers: Mapping[str, str]) -> AccessToken | None:
        """The access token of a valid session's cookie; None without one."""
        ...


class Access:
    """Authorizes requests. Use it on one event loop."""

    def __init__(self, listen: Listen, authenticator: Authenticator, sessions: Sessions | None = None) -> None:
        self.authenticator, self.sessions = authenticator, sessions
        self._is_loopback, self._may_be_open = listen.is_loopback, listen.is_loopback or listen.allow_anonymous

    @property
    def is_open(self) -> bool:
        """True when no token is needed, because none was ever made. A token that a client sends is then ignored."""
        return self._may_be_open and self.authenticator.empty

    async def caller(self, policy: RoutePolicy, scope: Scope) -> AccessToken | None:
        """The access token of the request; None where none is needed. `scope` has a RequestState.

        Raises ForeignOriginError, AnonymousError, UnknownTokenError, ForbiddenTokenError for the wrong role,
        RateLimitedError, or TokenStoreUnavailableError.
        """
        request_origin = state_of(scope).origin
        if (request_origin.origin is not None) if policy.is_page else request_origin.is_link:
            raise ForeignOriginError(request_origin.origin)
        # NOTE: an address that others can reach is never open to whoever would make the first access token
        if policy.role is None or (self.is_open and (policy.role != "admin" or self._is_loopback)):
            return None
        access_token = await self._identified(scope)
        if policy.role == "admin" and access_token.role != "admin":
            raise ForbiddenTokenError(
                f"This access token has the role {access_token.role}, but here the role admin is needed."
            )
        await self.authenticator.admit(access_token)
        self.authenticator.used(access_token)
        return access_token

    async def _identified(self, scope: Scope) -> AccessToken:
        headers = state_of(scope).headers
        authorization = headers.get("authorization")
        if authorization is None:
            return self._signed_in(scope)
        if len(headers) != len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"authorization") > 1:
            raise AnonymousError
        token = bearer_token(authorization)
        if token is None:
            raise AnonymousError
        try:
            return self.authenticator.find(token)
        except UnknownTokenError:
            return await self.authenticator.find_new(token)

    def _signed_in(self, scope: Scope) -> AccessToken:
        """The session's access token, for requests of our own pages only: browsers send cookies for others too."""
        state = state_of(scope)
        if self.sessions and "cookie" in state.headers and state.origin.origin is None:
            access_token = self.sessions.caller(state.headers)
            if access_token is not None:
                return access_token
        raise AnonymousError


def bearer_token(authorization: str | None) -> str | None:
    """The token in the value of an Authorization header; None where there is none."""
    if authorization is None:
        return None
    found = _CREDENTIALS.fullmatch(authorization.strip())
    return found[1] if found else None


def require_model(access_token: AccessToken | None, found: str) -> None:
    """Raises ForbiddenTokenError when the access token may not use this model.

    `found` is its id as the server has found it, with or without a revision, and never as the client spells it. An
    alias is its own id here: a token that names the alias does not allow its model by the model's id, nor the reverse.
    """
    if access_token is not None and not access_token.allows(found.partition("@")[0]):
        raise ForbiddenTokenError(
            f"This access token may not use the model {found}, only {', '.join(access_token.models)}: take another "
            "token."
        )
