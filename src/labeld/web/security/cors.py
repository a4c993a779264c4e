"""CORS: the requests and replies of pages of other sites that the settings name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.types import Message, Scope, Send

from labeld.errors import SettingsError
from labeld.web.security.hosts import DEFAULT_PORTS, HOST, is_address

Headers = tuple[tuple[bytes, bytes], ...]

EXPOSED_HEADERS = (
    b"x-compute-type, x-compute-time, x-compute-characters, x-request-id, x-sha, x-model, x-error-code, "
    b"x-error-message, x-hf-warning, x-compute-tokens, x-total-time, x-tokenization-time, x-queue-time, "
    b"x-inference-time, x-windows, x-truncated-texts, x-truncated-characters, retry-after, ratelimit, "
    b"ratelimit-policy, link"
)
"""Header fields of a reply that such a page may read; a * would not count with credentials (contract section 7)."""
PREFLIGHT_SECONDS = 600
"""Seconds for which a browser may cache a preflight."""

_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#@\s]+)", re.ASCII)
_WITHOUT_PAGES = {"file", "ftp", "ws", "wss"}
_FIELD_NAMES = re.compile(r"[ \t]*[\w!#$%&'*+.^`|~-]+[ \t]*(?:,[ \t]*[\w!#$%&'*+.^`|~-]+[ \t]*)*", re.ASCII)
"""Matches a list of names of header fields (RFC 9110, section 5.6.2)."""


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """The origin of a request by its browser headers."""

    origin: str | None = None
    """Origin of the requesting page, if it is another one that the settings name."""
    is_link: bool = False
    """True for a followed link of another site, which only pages allow."""
    headers: Headers = ()
    """Header fields of every reply to it, errors too."""

    def replying(self, send: Send) -> Send:
        """`send` with those headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.headers]}
            await send(message)

        return send_with_headers if self.headers else send


def named_origin(origin: str) -> RequestOrigin:
    """The rules for pages of an origin in the settings; replies name it instead of *, as credentials need it.

    Raises SettingsError when no browser writes an origin like that, so that it would never match.
    """
    found = _ORIGIN.fullmatch(origin)
    if found is None or found["scheme"] in _WITHOUT_PAGES or not _is_canonical(found["scheme"], found["host"]):
        raise SettingsError(
            f"origins has {origin!r}, but must have origins as browsers write them: https://example.org, "
            "http://localhost:3000 or chrome-extension://<id>, in small letters, without a path and without the usual "
            "port."
        )
    return RequestOrigin(
        origin,
        headers=(
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
            (b"vary", b"Origin"),
        ),
    )


def preflight(
    scope: Scope, headers: Mapping[str, str], request_origin: RequestOrigin
) -> list[tuple[bytes, bytes]] | None:
    """The headers of the reply to a browser that asks whether a page may ask; None when the request is not that.

    A page of a named origin may send whatever header fields it asks for: tracing libraries add their own.
    """
    if scope["method"] != "OPTIONS" or request_origin.origin is None or "access-control-request-method" not in headers:
        return None
    asked = headers.get("access-control-request-headers", "")
    allowed = [(b"access-control-allow-headers", asked.encode("ascii"))] if _FIELD_NAMES.fullmatch(asked) else []
    return [
        (b"access-control-allow-methods", b"GET, HEAD, POST"),
        *allowed,
        (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
        (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]


def _is_canonical(scheme: str, host: str) -> bool:
    """True for a host and port in the form that browsers write in an origin."""
    found = HOST.fullmatch(host)
    if found is None:
        return False
    name, port = found["name"], found["port"]
    if port is not None and (not port or port != str(int(port)) or int(port) > 65535):
        return False
    if scheme not in DEFAULT_PORTS:
        return True  # NOTE: of an extension or an application; there capital letters count, and no port is usual
    if name.startswith("[") and is_address(name[1:-1]):
        return name == f"[{ip_address(name[1:-1]).compressed}]" and port != DEFAULT_PORTS[scheme]
    is_number = name.rpartition(".")[2].isdigit()  # NOTE: browsers write 127.1 as 127.0.0.1
    return name == name.lower() and (is_address(name) or not is_number) and port != DEFAULT_PORTS[scheme]
