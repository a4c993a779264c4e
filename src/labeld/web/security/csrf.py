"""Pages of other sites: Sec-Fetch-Site, Origin and Referer.

A page of any site can make its visitor's browser send requests to this machine. What it cannot do is choose what these
headers say, so they are looked at before the route, on every route (contract section 7, decision 9).
"""

import re
from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.types import Scope

from labeld.auth.errors import BadHostError, ForeignOriginError
from labeld.config.settings import Settings
from labeld.web.security.cors import RequestOrigin, named_origin
from labeld.web.security.hosts import DEFAULT_PORTS, HOST, Hosts

_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\s]+)", re.ASCII | re.IGNORECASE)
_REFERER_ORIGIN = re.compile(r"[a-z]+://[^/?#]*")
_SINGLE = {b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"}


class Origins:
    """The check. Precomputed, so that an ordinary request costs less than a microsecond."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when a host or an origin of the settings is none."""
        self._hosts = Hosts(settings)
        vary = ((b"vary", b"Origin"),) if settings.sites.origins else ()
        self._here, self._link = RequestOrigin(headers=vary), RequestOrigin(is_link=True, headers=vary)
        self._named = {origin: named_origin(origin) for origin in settings.sites.origins}

    def request_origin(self, scope: Scope, headers: Mapping[str, str]) -> RequestOrigin:
        """The origin of a request. Raises BadHostError, ForeignHostError, or ForeignOriginError.

        `headers` are those of `scope` by lower-cased name, of which the last one counts where there are several.
        """
        if len(headers) != len(scope["headers"]):
            _require_single(name for name, _ in scope["headers"])
        host = headers.get("host")
        if host is None:
            if scope["http_version"] != "1.0":  # which has no such header; no browser speaks it
                raise BadHostError
        else:
            self._hosts.require_ours(host)
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


def is_same(origin: str, host: str) -> bool:
    """True when a page of this origin was served under this Host header: same host, same port.

    The scheme is not looked at, because a proxy in front may speak https.
    """
    found, ours = _ORIGIN.fullmatch(origin), HOST.fullmatch(host)
    theirs = HOST.fullmatch(found["host"]) if found else None
    if found is None or theirs is None or ours is None:
        return False
    default = DEFAULT_PORTS[found["scheme"].lower()]
    same_port = (theirs["port"] or default) == (ours["port"] or default)
    return same_port and theirs["name"].lower().removesuffix(".") == ours["name"].lower().removesuffix(".")


def require_own_page(request: Request) -> None:
    """Raises ForeignOriginError when the Referer says that a page of another site has sent the form.

    NOTE: beside what `Origins` looks at, for browsers too old to send Origin or Sec-Fetch-Site with a form. Whoever
    sends none of the three is no browser, and has no cookie that a page could abuse.
    """
    referer = request.headers.get("referer")
    if referer is None or "origin" in request.headers or "sec-fetch-site" in request.headers:
        return
    origin = _REFERER_ORIGIN.match(referer)
    if origin is None or not is_same(origin[0], request.headers.get("host", "")):
        raise ForeignOriginError(origin and origin[0])


def _require_single(names: Iterable[bytes]) -> None:
    """Raises BadHostError for a second Host, and ForeignOriginError for another field that no browser repeats."""
    seen = set()
    for name in names:
        if name in seen and name in _SINGLE:
            raise BadHostError if name == b"host" else ForeignOriginError(None)
        seen.add(name)
