"""`/settings/tokens`: access tokens made, seen, revoked and rotated. Plain forms; each token is shown once."""

import time
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from labeld.auth.errors import KeyNotFoundError, KeyRequestError
from labeld.auth.records import Key
from labeld.web.pages.context import Site
from labeld.web.pages.rendering import origin, page
from labeld.web.pages.sign_in import HEADERS, TOKENS, is_secure, to_page
from labeld.web.pages.token_form import PERIODS, TokenForm, read_token_form
from labeld.web.security.forms import read_form


async def tokens(site: Site, request: Request) -> Response:
    """All of them, and the form to make one."""
    return await _show(site, request, TokenForm())


async def make_token(site: Site, request: Request) -> Response:
    """Makes one and shows it; or the form again, with what is wrong beside each field."""
    form = read_token_form(await read_form(request), time.time())
    if form.wanted is None:
        return await _show(site, request, form, 400)
    was_open, wanted = site.access.is_open, form.wanted
    try:
        key, token = await site.access.keyring.create(
            wanted.name, wanted.role, wanted.models, wanted.expires, wanted.per_minute
        )
    except KeyRequestError as error:
        return await _show(site, request, form.refused("name", error), 400)
    # NOTE: whoever makes the first token has not signed in, and could not make a second
    cookie = _session(site, request, key if key.role == "admin" else None) if was_open else {}
    return await _show_once(site, request, key, token, cookie)


async def ask_revoke(site: Site, request: Request) -> Response:
    """Asks whether it is to be revoked."""
    return await _ask(site, request, "revoke")


async def revoke(site: Site, request: Request) -> Response:
    """Revokes it."""
    await read_form(request)
    key = await site.access.keyring.revoke(request.path_params["key_id"])
    return to_page(f"{TOKENS}?{urlencode({'revoked': key.key_id})}")


async def ask_rotate(site: Site, request: Request) -> Response:
    """Asks whether it is to be rotated."""
    return await _ask(site, request, "rotate")


async def rotate(site: Site, request: Request) -> Response:
    """Gives the key a new token and shows it."""
    await read_form(request)
    try:
        key, token = await site.access.keyring.rotate(request.path_params["key_id"])
    except KeyRequestError as error:
        return await _show(site, request, TokenForm(), 400, str(error))
    own = request.state.key
    cookie = _session(site, request, key) if own and own.key_id == key.key_id else {}
    return await _show_once(site, request, key, token, cookie)


def _session(site: Site, request: Request, key: Key | None) -> dict[str, str]:
    return {"set-cookie": site.sessions.begin(key, secure=is_secure(request))}


async def _show(site: Site, request: Request, form: TokenForm, status: int = 200, problem: str = "") -> Response:
    now, everything = time.time(), await site.access.keyring.everything()
    live = [key for key in everything if key.live(now)]
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
        ended=[key for key in everything if not key.live(now)],
        revoked=next((key for key in everything if key.key_id == revoked and key.revoked), None),
        is_open=site.access.is_open,
        has_admin=any(key.role == "admin" for key in live),
        own=request.state.key,
        now=now,
    )


async def _show_once(site: Site, request: Request, key: Key, token: str, headers: dict[str, str]) -> Response:
    address = f"{origin(request)}/models/{site.service.default_model}"
    values = {"here": TOKENS, "key": key, "token": token, "address": address, "begins": bool(headers)}
    return await page("token_made.html", 200, {**HEADERS, **headers}, **values)


async def _ask(site: Site, request: Request, what: str) -> Response:
    everything = await site.access.keyring.everything()
    key = next((one for one in everything if one.key_id == request.path_params["key_id"]), None)
    if key is None:
        raise KeyNotFoundError
    now, own = time.time(), request.state.key
    others = [one for one in everything if one.role == "admin" and one.live(now) and one.key_id != key.key_id]
    return await page(
        "token_confirm.html",
        headers=HEADERS,
        here=TOKENS,
        key=key,
        what=what,
        is_own=own is not None and own.key_id == key.key_id,
        is_last_admin=key.role == "admin" and not others,
    )
