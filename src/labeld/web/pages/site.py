"""What pages are made from, and what a page is to the router."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from labeld.service import Service
from labeld.settings import Settings
from labeld.web.access import PAGE, Access, Needs
from labeld.web.sessions import Sessions, Tries
from labeld.web.status import Status


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of a running server that pages show."""

    service: Service
    settings: Settings
    status: Status
    access: Access
    sessions: Sessions
    tries: Tries

    def needs_token(self) -> bool:
        """Whether requests must bring an access token now."""
        return not self.access.is_open


class Page(NamedTuple):
    """A route of the site."""

    path: str
    answer: Callable[[Site, Request], Awaitable[Response]]
    method: str = "GET"
    needs: Needs = PAGE
    always: bool = False
    """Whether it is answered also when more requests are in flight than the limit, as what shows the load must be."""
