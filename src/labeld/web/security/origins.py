"""Which names this server answers to, and which web pages may ask it: Host, Sec-Fetch-Site, Origin, CORS.

A page of any site can make its visitor's browser send requests to this machine. What it cannot do is choose what these
three headers say, so they are looked at before anything else, on every route (contract section 7, decision 9).
"""

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import Message, Scope, Send

from labeld.auth.errors import BadHostError, ForeignHostError, ForeignOriginError
from labeld.config.settings import Settings
from labeld.errors import SettingsError

Headers = tuple[tuple[bytes, bytes], ...]

ALLOWED_HEADERS = (
    b"authorization, content-type, user-agent, x-use-cache, x-wait-for-model, x-load-model, x-use-gpu, x-hf-bill-to, "
    b"x-amzn-trace-id, x-request-id"
)
"""Header fields that a page of a named origin may send; a * would not cover Authorization (contract section 7)."""
EXPOSED_HEADERS = (
    b"x-compute-type, x-compute-time, x-compute-characters, x-request-id, x-sha, x-error-code, x-error-message, "
    b"x-hf-warning, retry-after, ratelimit, ratelimit-policy, link"
)
"""Header fields of a reply that such a page may read."""
PREFLIGHT_SECONDS = 600
"""How long a browser need not ask again."""

KNOWN_HOSTS, HOST_CHARACTERS = 256, 255
"""How many spellings of our names are cached, so that the check costs nothing; and how long one may be."""

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{0,5}))?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\s]+)", re.ASCII | re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_SINGLE = {b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"}


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Where a request comes from, as far as the browser says, if it is one."""

    origin: str | None = None
    """The other site whose page asks; it is one of those that the settings name."""
    is_link: bool = False
    """Whether it is a link of another site, that somebody follows: only pages are for that."""
    headers: Headers = ()
    """Header fields of every reply to it, errors too."""

    def replying(self, send: Send) -> Send:
        """`send` with those headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.headers]}
            await send(message)

        return send_with_headers if self.headers else send


class Origins:
    """The check. Precomputed, so that an ordinary request costs less than a microsecond."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when a host or an origin of the settings is none."""
        listen, sites = settings.listen, settings.sites
        names = {"localhost", listen.host, *sites.hosts}
        if not listen.is_loopback:
            names |= {socket.gethostname(), socket.gethostname().partition(".")[0]}
        for name in sites.hosts:
            if not _is_name(name):
                raise SettingsError(f"hosts has {name!r}, but must have names like labeld.example.org, without a port.")
        self._names = {name.lower().rstrip(".") for name in names}
        vary = ((b"vary", b"Origin"),) if sites.origins else ()
        self._here, self._link = RequestOrigin(headers=vary), RequestOrigin(is_link=True, headers=vary)
        self._named = {origin: _named(origin) for origin in sites.origins}
        self._require_ours = lru_cache(KNOWN_HOSTS)(self._find_name)  # NOTE: an exception is not cached

    def request_origin(self, scope: Scope, headers: Mapping[str, str]) -> RequestOrigin:
        """Where it comes from. Raises BadHostError, ForeignHostError, or ForeignOriginError.

        `headers` are those of `scope` by lower-cased name, of which the last one counts where there are several.
        """
        if len(headers) != len(scope["headers"]):
            _require_single(name for name, _ in scope["headers"])
        host = headers.get("host")
        if host is None:
            if scope["http_version"] != "1.0":  # which has no such header; no browser speaks it
                raise BadHostError
        else:
            self._require_ours(host)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and (site is None or site not in {"cross-site", "same-site"}):
            return self._here
        return self._of_browser(scope["method"], headers, host or "", origin, site)

    def _of_browser(
        self, method: str, headers: Mapping[str, str], host: str, origin: str | None, site: str | None
    ) -> RequestOrigin:
        if origin in self._named:
            return self._named[origin]
        if site in {"cross-site", "same-site"}:
            is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            if origin is None and is_link and method in {"GET", "HEAD"}:
                return self._link
        elif origin is not None and (is_same(origin, host) or (origin == "null" and site == "same-origin")):
            return self._here  # NOTE: a form of a page without a referrer says null, of its own site too
        raise ForeignOriginError(origin)

    def _find_name(self, host: str) -> None:
        found = _HOST.fullmatch(host) if len(host) <= HOST_CHARACTERS else None
        if found is None or (found["port"] and int(found["port"]) > 65535):
            raise BadHostError
        name = found["name"].lower().removesuffix(".")
        # NOTE: an IP address cannot be made to mean another machine, as a name can (DNS rebinding)
        if name not in self._names and not _is_address(name.strip("[]")):
            raise ForeignHostError(name)


def preflight(
    scope: Scope, headers: Mapping[str, str], request_origin: RequestOrigin
) -> list[tuple[bytes, bytes]] | None:
    """The headers of the reply to a browser that asks whether a page may ask; None when the request is not that."""
    if scope["method"] != "OPTIONS" or request_origin.origin is None or "access-control-request-method" not in headers:
        return None
    return [
        (b"access-control-allow-methods", b"GET, HEAD, POST"),
        (b"access-control-allow-headers", ALLOWED_HEADERS),
        (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
        (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]


def is_same(origin: str, host: str) -> bool:
    """Whether a page of this origin was answered under this Host header: same host, same port.

    The scheme is not looked at, because a proxy in front may speak https.
    """
    found, ours = _ORIGIN.fullmatch(origin), _HOST.fullmatch(host)
    theirs = _HOST.fullmatch(found["host"]) if found else None
    if found is None or theirs is None or ours is None:
        return False
    default = _DEFAULT_PORTS[found["scheme"].lower()]
    same_port = (theirs["port"] or default) == (ours["port"] or default)
    return same_port and theirs["name"].lower().removesuffix(".") == ours["name"].lower().removesuffix(".")


def _named(origin: str) -> RequestOrigin:
    """The rules for pages of an origin in the settings; replies name it instead of *, as credentials need it."""
    found = _ORIGIN.fullmatch(origin)
    host = _HOST.fullmatch(found["host"]) if found else None
    unusual = found and host and host["port"] not in {"", _DEFAULT_PORTS[found["scheme"].lower()]}
    if not unusual or origin != origin.lower():
        raise SettingsError(
            f"origins has {origin!r}, but must have origins as browsers write them: https://example.org or "
            "http://localhost:3000, in small letters, without a path and without the usual port."
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


def _require_single(names: Iterable[bytes]) -> None:
    """Raises BadHostError for a second Host; what else may only stand once is then no browser's, and foreign."""
    seen = set()
    for name in names:
        if name in seen and name in _SINGLE:
            raise BadHostError if name == b"host" else ForeignOriginError(None)
        seen.add(name)


def _is_name(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and found["port"] is None and not host.startswith("[")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
