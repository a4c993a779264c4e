"""The state of a request while it is answered: made by `App.__call__`, read through its scope."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from labeld.auth.records import AccessToken
from labeld.error_reply import ErrorShape, request_id
from labeld.types import ClassifyReply, ClassifyRequest
from labeld.web.security.cors import RequestOrigin

UNKNOWN_ORIGIN = RequestOrigin()


@dataclass
class RequestState:
    """One request. What is not known yet, or never will be, has its default.

    NOTE: those defaults are the class's (`init=False`, no slots), because setting ten fields takes a microsecond.
    """

    headers: dict[str, str]
    """By lower-case name; of a repeated one the last."""
    request_id: str
    began: float = field(default_factory=time.perf_counter)
    """When its head had arrived, on the clock of `time.perf_counter`."""
    origin: RequestOrigin = field(default=UNKNOWN_ORIGIN, init=False)
    """Where it comes from; that of a request refused for its Host or Origin is never known."""
    route: str = field(default="", init=False)
    """The template of its path; empty where no route has the path."""
    is_page: bool = field(default=False, init=False)
    """True when the route is for people in a browser."""
    classifies: bool = field(default=False, init=False)
    """True when the route classifies."""
    access_token: AccessToken | None = field(default=None, init=False)
    """Of the caller; None where nobody needs to be known."""
    model: str | None = field(default=None, init=False)
    """The id of the model that it names, once that is found."""
    form: dict[str, str] = field(init=False)
    """Fields of the form that was sent to a page, by name; there from when it was read."""
    asked: ClassifyRequest | None = field(default=None, init=False)
    reply: ClassifyReply | None = field(default=None, init=False)
    error_shape: ErrorShape | None = field(default=None, init=False)
    """The dialect in which errors are written; None for the hosted API's."""

    @property
    def cache_scope(self) -> str:
        """The cache's scope with cache_scope=token: the id of the caller's access token, or empty."""
        return self.access_token.token_id if self.access_token else ""


def begin_request(scope: Scope) -> RequestState:
    """The state of a new request, which its scope has from now on."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    state = RequestState(headers, request_id(headers.get("x-request-id"), headers.get("x-amzn-trace-id")))
    scope["state"] = state
    return state


def state_of(request: Mapping[str, Any]) -> RequestState:
    """The state of a request, given its scope, or the request itself."""
    state: RequestState = request["state"]
    return state


def client_address(scope: Scope) -> str:
    """The address that the connection comes from: behind a proxy the proxy's own; empty over a unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""
