"""`/sign-in` and `/sign-out`: sessions of a browser for the settings pages."""

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from labeld.auth.errors import UnknownTokenError
from labeld.auth.records import AccessToken
from labeld.web.pages.context import Site
from labeld.web.pages.rendering import address, page
from labeld.web.paths import PREFIX
from labeld.web.request_state import client_address, state_of
from labeld.web.security.sessions import end_session

HEADERS = {"cache-control": "no-store", "referrer-policy": "same-origin"}
"""NOTE: under the referrer policy no-referrer, browsers without Sec-Fetch-Site send a form with the origin null."""

TOKENS = "/settings/tokens"
_OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~/?=&%+-]{0,500}")
"""Matches a path of this server to continue at after signing in, and no address of another server."""


async def sign_in(site: Site, request: Request) -> Response:
    """A form for an admin token; with the link that labeld prints, a button, which a link preview does not press."""
    access_token = site.sessions.caller(request.headers)
    return await _show(
        site,
        request,
        {name: request.query_params.get(name, "") for name in ("code", "next")},
        access_token=access_token,
    )


async def take_sign_in(site: Site, request: Request) -> Response:
    """Begins a session if the access token or the code is valid."""
    fields = state_of(request).form
    try:
        access_token = await _identified(site, fields)
    except UnknownTokenError:
        if seconds := site.login_throttle.wrong(client_address(request.scope)):
            sentence = f"There were too many wrong attempts from your address: try again in {seconds} seconds."
            return await _show(site, request, {**fields, "code": ""}, 429, sentence, {"retry-after": str(seconds)})
        what = "link was used already, has expired, or is not of this server" if "code" in fields else _UNKNOWN_TOKEN
        return await _show(site, request, {**fields, "code": ""}, 403, f"This {what}.")
    if access_token is not None and access_token.role != "admin":
        sentence = (
            f"The access token {access_token.name} has the role {access_token.role}: only one with the role "
            "admin signs in here."
        )
        return await _show(site, request, fields, 403, sentence)
    return to_page(own_path(fields.get("next", "")), site.sessions.begin(access_token, secure=is_secure(request)))


_UNKNOWN_TOKEN = "access token is unknown, revoked or expired"  # noqa: S105


async def sign_out(site: Site, request: Request) -> Response:
    """Ends the session of this browser."""
    del site
    return to_page("/sign-in", end_session(secure=is_secure(request)))


async def _identified(site: Site, fields: dict[str, str]) -> AccessToken | None:
    """The access token of the form; None for a valid code. Raises UnknownTokenError, or TokenStoreUnavailableError."""
    authenticator = site.access.authenticator
    if "code" in fields:
        if not await authenticator.use_sign_in(fields["code"]):
            raise UnknownTokenError
        return None
    token = fields.get("token", "").strip()
    try:
        return authenticator.find(token)
    except UnknownTokenError:
        return await authenticator.find_new(token)


async def _show(  # noqa: PLR0913, PLR0917  # one per part of the page
    site: Site,
    request: Request,
    fields: dict[str, str],
    status: int = 200,
    error: str = "",
    headers: dict[str, str] | None = None,
    access_token: AccessToken | None = None,
) -> Response:
    del request
    return await page(
        "sign_in.html",
        status,
        {**HEADERS, **(headers or {})},
        here=TOKENS,
        code=fields.get("code", ""),
        next=own_path(fields.get("next", "")),
        error=error,
        access_token=access_token,
        is_open=site.access.is_open,
        may_be_made=site.settings.listen.is_loopback,
    )


def to_sign_in(scope: Scope) -> Response:
    """A redirect to the sign-in form, which leads back to the page."""
    path = scope["path"].removeprefix(PREFIX.get()) if scope["method"] in {"GET", "HEAD"} else TOKENS
    return to_page(f"/sign-in?next={quote(own_path(path), safe='/')}")


def to_page(path: str, cookie: str | None = None) -> Response:
    """A redirect (303) to another page of this server after a form, which may set a cookie."""
    headers = {**HEADERS, **({"set-cookie": cookie} if cookie else {})}
    return RedirectResponse(PREFIX.get() + path, status_code=303, headers=headers)


def own_path(path: str) -> str:
    """The path if it is one of this server, else that of the access tokens' page."""
    return path if _OWN_PATH.fullmatch(path) else TOKENS


def is_secure(request: Request) -> bool:
    """True when the browser uses https."""
    return address(request).startswith("https:")
