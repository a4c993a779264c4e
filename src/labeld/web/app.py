"""The ASGI application: what happens to every request around its route, and the lifespan of the service."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from labeld.auth.errors import AnonymousError
from labeld.config.settings import Settings
from labeld.error_reply import encode_error
from labeld.errors import (
    LabeldError,
    MethodNotAllowedError,
    OverloadedError,
    RouteNotFoundError,
    UnavailableError,
)
from labeld.server.connection_limits import Reply
from labeld.server.logs import RequestLog
from labeld.service.service import Service
from labeld.system.tracebacks import drop_tracebacks
from labeld.web.guard import Guard
from labeld.web.hosting import AppHosting, open_site, open_tracer
from labeld.web.inference import Inference
from labeld.web.openapi import openapi
from labeld.web.pages.rendering import error_page, wants_html
from labeld.web.pages.sign_in import to_sign_in
from labeld.web.path_router import PathRouter
from labeld.web.paths import Paths
from labeld.web.raw_response import RawResponse
from labeld.web.request_body import BodyReader
from labeld.web.request_state import begin_request, state_of
from labeld.web.routes import Routes
from labeld.web.security.cors import preflight
from labeld.web.security.csrf import Origins
from labeld.web.security.sessions import first_code
from labeld.web.start_router import StartRouter

logger = logging.getLogger(__name__)


class App:
    """The ASGI application. Holds no state of a request; the service is opened in its lifespan."""

    def __init__(self, settings: Settings, hosting: AppHosting) -> None:
        self._settings, self._hosting, self._metrics = settings, hosting, hosting.metrics
        self._origins = Origins(settings)
        self._log = RequestLog(texts=settings.logs.log_texts) if settings.logs.log_format == "json" else None
        self._tracer = open_tracer(settings.tracing)
        self._stop_loading: Callable[[], None] = lambda: None
        self._paths = Paths(settings.sites)
        bodies = BodyReader(settings.inputs, settings.connections if hosting.is_behind_proxy else None)
        self._inference = Inference(settings, hosting, bodies)
        guard = Guard(self._inference, settings.file)
        description = json.dumps(openapi(settings.inputs, self._paths.prefix)).encode()
        self._routes = Routes(self._inference, guard, bodies, description, self._finish)
        self.routes = self._routes.table()
        self._start = StartRouter(self._routes.alive, settings.residency.load_grace)
        self._router: ASGIApp = self._start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or runs the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        state = begin_request(scope)
        scope["app"] = self  # NOTE: so that the router raises for an unknown path or method instead of answering itself
        self._paths.prepare(scope)
        try:
            if not scope["path"].isprintable():  # NOTE: the router's patterns overlook a newline at the end
                raise RouteNotFoundError
            state.origin = self._origins.request_origin(scope, state.headers)
            send = state.origin.replying(send)
            if (allowed := preflight(scope, state.headers, state.origin)) is not None:
                await self._finish(RawResponse(204, allowed, b""), scope, receive, send)
                return
            await self._router(scope, receive, send)
        except HTTPException:
            methods = {method for route in self.routes if _has_path(route, scope) for method in route.methods or ()}
            known = MethodNotAllowedError(", ".join(sorted(methods))) if methods else RouteNotFoundError()
            await self._fail(known, scope, receive, send)
        except LabeldError as error:
            await self._fail(error, scope, receive, send)
        except asyncio.CancelledError:  # the drain has run out of time, and uvicorn gives up on the request
            stopping = UnavailableError("This server is stopping: try again in a moment.")
            await self._fail(stopping, scope, receive, send)
        except Exception as error:
            logger.exception("a request failed")
            await self._fail(error, scope, receive, send)

    def stop_loading(self) -> None:
        """Ends a running precision trial, which may take minutes; may be called in a signal handler."""
        self._stop_loading()

    def leave(self) -> None:
        """From now on /ready is 503, so that a load balancer sends no more; everything else is answered as before."""
        self._routes.is_leaving = True

    def refuse(self, refused: LabeldError, scope: Scope) -> Reply:
        """The reply to a request that the connection refuses, which no route has seen, with its origin's fields."""
        state = begin_request(scope)
        status, headers, body = encode_error(refused, state.request_id)
        with suppress(LabeldError):
            headers += self._origins.request_origin(scope, state.headers).headers
        self._metrics.rejected(status)
        if self._log:
            self._log.refused(state.request_id, status)
        return status, headers, body

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Logs an error if need be, answers with it, and drops its tracebacks."""
        drop_tracebacks(error)
        state = state_of(scope)
        response: Response = RawResponse(*encode_error(error, state.request_id, state.error_shape))
        is_page = scope["method"] in {"GET", "HEAD"} or state.is_page
        if is_page and wants_html(state.headers.get("accept")):
            must_sign_in = isinstance(error, AnonymousError) and state.is_page
            response = to_sign_in(scope) if must_sign_in else await error_page(response)
        if isinstance(error, OverloadedError):
            self._metrics.refused(error.limit)
        await self._finish(response, scope, receive, send)

    async def _finish(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts the request, and answers it."""
        state = state_of(scope)
        if not state.classifies:  # whose replies have it already
            response.headers.setdefault("x-request-id", state.request_id)
        seconds = time.perf_counter() - state.began
        self._metrics.request(state.route, response.status_code, seconds)
        if state.classifies:
            texts = len(state.asked.texts) if state.asked else 0
            self._metrics.totals.classified(texts, response.status_code, seconds)
            if self._tracer:
                self._tracer.record(scope["method"], state, response.status_code, seconds)
        if self._log:
            self._log.answered(scope["method"], state, response.status_code, seconds)
        await response(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Opens everything before the first request, and closes it after the last."""
        await receive()
        async with AsyncExitStack() as stack:
            if self._tracer:
                stack.push_async_callback(self._tracer.close)
            stack.callback(self._end)
            try:
                site = await stack.enter_async_context(open_site(self._settings, self._hosting, self._take))
            except LabeldError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            self._routes.site = site
            self._router = PathRouter(self.routes)
            self._start.started(self._router)
            await send({"type": "lifespan.startup.complete"})
            self._hosting.on_ready([*site.preloaded], await first_code(site.access.authenticator))
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _end(self) -> None:
        self._router = self._start
        self._start.ended()

    def _take(self, service: Service) -> None:
        self._stop_loading = service.stop_loading
        self._routes.service = self._inference.service = service


def _has_path(route: Route, scope: Scope) -> bool:
    return route.matches(scope)[0] is not Match.NONE
