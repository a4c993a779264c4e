"""The parts of a server that pages show, and the routes of the pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from labeld.config.settings import Settings
from labeld.service.service import Service
from labeld.web.monitoring.workers import Workers
from labeld.web.security.authorization import PAGE, Access, RoutePolicy
from labeld.web.security.sessions import LoginThrottle, Sessions


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of a running server that pages show."""

    service: Service
    settings: Settings
    workers: Workers
    access: Access
    sessions: Sessions
    login_throttle: LoginThrottle
    preloaded: tuple[str, ...] = ()
    """Ids of the models that were loaded at the start, which stay."""

    def needs_token(self) -> bool:
        """True when requests need an access token at present."""
        return not self.access.is_open


class Page(NamedTuple):
    """The route of a page."""

    path: str
    answer: Callable[[Site, Request], Awaitable[Response]]
    method: str = "GET"
    policy: RoutePolicy = PAGE
    always: bool = False
    """True for a page that is answered beyond the limit of requests in flight too, because it shows the load."""
