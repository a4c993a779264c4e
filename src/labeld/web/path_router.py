"""Routing: a path without parameters is found at once, any other one by the patterns of the routes, in their order."""

from collections.abc import Sequence
from itertools import groupby

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send


class PathRouter:
    """Starlette's router, which tries pattern after pattern for a microsecond each, behind a look-up of the path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """The routes in the order in which their patterns are tried."""
        exact = sorted((route for route in routes if not route.param_convertors), key=_path)
        self._exact = {path: _router(list(found)) for path, found in groupby(exact, _path)}
        self._every = _router(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers by the route of a request; raises HTTPException for an unknown path or method."""
        await self._exact.get(scope["path"], self._every)(scope, receive, send)


def _path(route: Route) -> str:
    return route.path


def _router(routes: Sequence[Route]) -> Router:
    return Router(routes=routes, redirect_slashes=False)
