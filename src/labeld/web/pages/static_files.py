"""Styles, scripts and the icon of the pages: read once, kept in memory, revalidated by their hash."""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from labeld.errors import RouteNotFoundError
from labeld.web.pages.context import Site

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


async def static_file(_: Site, request: Request) -> Response:
    """`/static/{name}`: the file, or 304 when the browser has it. The name is looked up in a table, never opened."""
    name = request.path_params["name"]
    if name not in _files():
        raise RouteNotFoundError
    body, tag, media_type = _files()[name]
    headers = {"etag": tag, "cache-control": "no-cache", "x-content-type-options": "nosniff"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Body, entity tag and media type of each file, by its name."""
    bodies = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}
    return {
        name: (body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', MEDIA_TYPES[Path(name).suffix])
        for name, body in bodies.items()
    }
