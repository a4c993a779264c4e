"""HTML responses from templates, with the headers that every page has, and their JSON counterparts."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from labeld import templates
from labeld.errors import format_bytes
from labeld.types import Text
from labeld.web.pages.snippets import literal
from labeld.web.paths import PREFIX

if TYPE_CHECKING:
    from jinja2 import Environment

HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
TEMPLATES = Path(__file__).parent / "templates"

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
    "vary": "accept",
}
"""Headers of every page: it loads nothing from other sites, runs nothing inline, and cannot be framed."""


def wants_html(accept: str | None) -> bool:
    """True when an Accept header names text/html, as those of browsers do and those of API clients do not."""
    return accept is not None and any(one.partition(";")[0].strip().lower() == "text/html" for one in accept.split(","))


async def page(template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response:
    """A page of this template; every value is escaped. `headers` are added to those of every page, or replace them.

    Rendered on another thread, because the first page imports Jinja2 and compiles its template.
    """
    text = await asyncio.to_thread(_rendered, template, values)
    # NOTE: half a surrogate pair, which a label of config.json can hold, has no UTF-8
    body = text.encode("utf-8", "replace")
    return Response(body, status, {**HEADERS, **(headers or {})}, media_type="text/html; charset=utf-8")


def as_json(value: Any) -> Response:
    """The JSON counterpart of a page, for clients that do not accept HTML."""
    return json_response(value, {"vary": "accept"})


def json_response(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response with this value and additional headers."""
    # NOTE: a label may hold half a surrogate pair; backslashreplace writes it as JSON's own \\ud800
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, headers=headers, media_type="application/json")


async def error_page(error: Response) -> Response:
    """The HTML page for an error response `{"error": "<sentence>"}`, with its status and headers."""
    sentence = json.loads(bytes(error.body))["error"]
    kept = {name: value for name, value in error.headers.items() if not name.startswith("content-")}
    return await page(
        "error.html",
        error.status_code,
        kept,
        name=f"{error.status_code} {HTTPStatus(error.status_code).phrase}",
        sentence=sentence,
    )


def model_address(model_id: str, text: Text | None = None) -> str:
    """The path of a model's page, with this text in its widget."""
    query = {} if text is None else {"text": text.text} | ({"text_pair": text.pair} if text.pair else {})
    return f"{PREFIX.get()}/models/{quote(model_id)}" + (f"?{urlencode(query)}" if query else "")


def address(request: Request) -> str:
    """This server's address as the browser sees it, with the prefix of a reverse proxy.

    Its host is the socket's own where the Host field is missing or strange.
    """
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
    host = request.headers.get("host", "")
    if not HOST.fullmatch(host):
        name, port = request.scope.get("server") or ("localhost", 80)
        if port is None:  # a Unix socket
            name, port = "localhost", 80
        host = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return f"{scheme}://{host}{PREFIX.get()}"


def ago(moment: float) -> str:
    """The time since a moment (seconds since the epoch), in words: `2 hours ago`."""
    seconds = max(0.0, time.time() - moment)
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def day(seconds: float) -> str:
    """The UTC date of a moment (seconds since the epoch): `2026-01-31`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def moment(seconds: float) -> str:
    """The UTC time of a moment (seconds since the epoch): `2026-01-31T18:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rendered(template: str, values: dict[str, Any]) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "Environment":
    environment = templates.environment(TEMPLATES)
    environment.globals["model_address"] = model_address
    environment.globals["prefix"] = PREFIX.get
    environment.filters["size"] = format_bytes
    environment.filters["ago"] = ago
    environment.filters["day"] = day
    environment.filters["moment"] = moment
    environment.filters["literal"] = literal
    return environment
