"""`/settings/tokens`: makes, lists, revokes and rotates access tokens. Plain forms; each token is shown once."""

import time
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from labeld.auth.errors import TokenNotFoundError, TokenRequestError
from labeld.auth.records import AccessToken
from labeld.web.pages.context import Site
from labeld.web.pages.rendering import address, page
from labeld.web.pages.sign_in import HEADERS, TOKENS, is_secure, to_page
from labeld.web.pages.token_form import PERIODS, TokenForm, read_token_form
from labeld.web.request_state import state_of


async def tokens(site: Site, request: Request) -> Response:
    """The list of access tokens, and the form for a new one."""
    return await _show(site, request, TokenForm())


async def make_token(site: Site, request: Request) -> Response:
    """Makes an access token and shows it; or shows the form again, with an error beside each wrong field."""
    form = read_token_form(state_of(request).form, time.time())
    if form.new_token is None:
        return await _show(site, request, form, 400)
    was_open, new_token = site.access.is_open, form.new_token
    try:
        access_token, token = await site.access.authenticator.create(
            new_token.name, new_token.role, new_token.models, new_token.expires, new_token.per_minute
        )
    except TokenRequestError as error:
        return await _show(site, request, form.refused("name", error), 400)
    # NOTE: whoever makes the first token has not signed in, and could not make a second
    cookie = _session(site, request, access_token if access_token.role == "admin" else None) if was_open else {}
    return await _show_once(site, request, access_token, token, cookie)


async def ask_revoke(site: Site, request: Request) -> Response:
    """Asks for confirmation to revoke an access token."""
    return await _ask(site, request, "revoke")


async def revoke(site: Site, request: Request) -> Response:
    """Revokes an access token."""
    access_token = await site.access.authenticator.revoke(request.path_params["token_id"])
    return to_page(f"{TOKENS}?{urlencode({'revoked': access_token.token_id})}")


async def ask_rotate(site: Site, request: Request) -> Response:
    """Asks for confirmation to rotate an access token."""
    return await _ask(site, request, "rotate")


async def rotate(site: Site, request: Request) -> Response:
    """Rotates an access token and shows its new text."""
    try:
        access_token, token = await site.access.authenticator.rotate(request.path_params["token_id"])
    except TokenRequestError as error:
        return await _show(site, request, TokenForm(), 400, str(error))
    own = state_of(request).access_token
    cookie = _session(site, request, access_token) if own and own.token_id == access_token.token_id else {}
    return await _show_once(site, request, access_token, token, cookie)


def _session(site: Site, request: Request, access_token: AccessToken | None) -> dict[str, str]:
    return {"set-cookie": site.sessions.begin(access_token, secure=is_secure(request))}


async def _show(site: Site, request: Request, form: TokenForm, status: int = 200, problem: str = "") -> Response:
    now, everything = time.time(), await site.access.authenticator.everything()
    live = [access_token for access_token in everything if access_token.live(now)]
    revoked = request.query_params.get("revoked")
    return await page(
        "tokens.html",
        status,
        HEADERS,
        here=TOKENS,
        form=form,
        periods=PERIODS,
        problem=problem,
        live=live,
        ended=[access_token for access_token in everything if not access_token.live(now)],
        revoked=next(
            (access_token for access_token in everything if access_token.token_id == revoked and access_token.revoked),
            None,
        ),
        is_open=site.access.is_open,
        has_admin=any(access_token.role == "admin" for access_token in live),
        own=state_of(request).access_token,
        now=now,
    )


async def _show_once(
    site: Site, request: Request, access_token: AccessToken, token: str, headers: dict[str, str]
) -> Response:
    model_url = f"{address(request)}/models/{site.service.default_model}"
    values = {
        "here": TOKENS,
        "access_token": access_token,
        "token": token,
        "address": model_url,
        "begins": bool(headers),
    }
    return await page("token_made.html", 200, {**HEADERS, **headers}, **values)


async def _ask(site: Site, request: Request, what: str) -> Response:
    everything = await site.access.authenticator.everything()
    access_token = next((one for one in everything if one.token_id == request.path_params["token_id"]), None)
    if access_token is None:
        raise TokenNotFoundError
    now, own = time.time(), state_of(request).access_token
    others = [
        one for one in everything if one.role == "admin" and one.live(now) and one.token_id != access_token.token_id
    ]
    return await page(
        "token_confirm.html",
        headers=HEADERS,
        here=TOKENS,
        access_token=access_token,
        what=what,
        is_own=own is not None and own.token_id == access_token.token_id,
        is_last_admin=access_token.role == "admin" and not others,
    )
