"""The ASGI application: routes, bodies, and clients that disconnect. Bytes are read and written by protocol/."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, nullcontext, suppress
from importlib.metadata import version

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from labeld.auth.errors import AnonymousError
from labeld.config.settings import Settings
from labeld.error_reply import ErrorShape, encode_error
from labeld.errors import (
    LabeldError,
    MethodNotAllowedError,
    OverloadedError,
    RouteNotFoundError,
    UnavailableError,
)
from labeld.protocol.dialects.open_inference import describe_server
from labeld.server.connection_limits import Reply
from labeld.server.logs import RequestLog
from labeld.service.service import Service
from labeld.system.tracebacks import drop_tracebacks
from labeld.web.dialects import DIALECTS, GUARDS, LIVE, OF_MODEL, READY, Describe
from labeld.web.guard import Guard
from labeld.web.hosting import AppHosting, open_site, open_tracer
from labeld.web.hub_api import LOOK_UPS, LookUp
from labeld.web.inference import Inference
from labeld.web.openapi import openapi
from labeld.web.pages.context import Page, Site
from labeld.web.pages.rendering import error_page, json_response, wants_html
from labeld.web.pages.routes import PAGES
from labeld.web.pages.sign_in import to_sign_in
from labeld.web.path_router import PathRouter
from labeld.web.paths import Paths
from labeld.web.raw_response import RawResponse
from labeld.web.request_body import BodyReader
from labeld.web.request_state import begin_request, state_of
from labeld.web.security.authorization import INFERENCE, PUBLIC, RoutePolicy
from labeld.web.security.cors import preflight
from labeld.web.security.csrf import Origins
from labeld.web.security.forms import read_form
from labeld.web.security.sessions import first_code
from labeld.web.start_router import StartRouter

logger = logging.getLogger(__name__)

TASK_PATHS = ("/pipeline/{task}/{model_id:path}", "/hf-inference/models/{model_id:path}/pipeline/{task}")

Handler = Callable[[Request], Awaitable[Response]]


class App:
    """The ASGI application. Holds no state of a request; the service is opened in its lifespan."""

    def __init__(self, settings: Settings, hosting: AppHosting) -> None:
        self._settings, self._hosting, self._metrics = settings, hosting, hosting.metrics
        self._origins = Origins(settings)
        self._log = RequestLog(texts=settings.logs.log_texts) if settings.logs.log_format == "json" else None
        self._tracer = open_tracer(settings.tracing)
        self._bodies = BodyReader(settings.inputs, settings.connections if hosting.is_behind_proxy else None)
        self._inference = Inference(settings, hosting, self._bodies)
        self._guard = Guard(self._inference, settings.file)
        self._site: Site  # set when the lifespan starts, before the first request
        self._service: Service  # as is this
        self._stop_loading: Callable[[], None] = lambda: None
        self._leaving = False
        self._paths = Paths(settings.sites)
        self._openapi = json.dumps(openapi(settings.inputs, self._paths.prefix)).encode()
        self.routes = self._routes()
        self._start = StartRouter(self._alive, settings.residency.load_grace)
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
        self._leaving = True

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

    def _routes(self) -> list[Route]:
        aliases = ["/hf-inference/models/{model_id:path}"]
        aliases.append("/api/inference-proxy/hf-inference/models/{model_id:path}")
        return [
            # NOTE: asked most, so first; a path that has another method below is still found there
            self._route("/models/{model_id:path}", self._inference.classify, INFERENCE, "POST"),
            self._route("/", self._inference.classify, INFERENCE, "POST"),
            self._route("/info", self._info, INFERENCE),
            *(self._route(path, self._health, PUBLIC) for path in LIVE),
            *(self._route(path, self._ready, PUBLIC) for path in READY),
            self._route("/v2", self._protocol, PUBLIC),
            self._route("/openapi.json", self._describe, PUBLIC),
            self._route("/metrics", self._expose, INFERENCE),
            *(
                self._route(path, self._inference.ask(dialect), INFERENCE, "POST", dialect.error)
                for dialect in DIALECTS
                for path in dialect.paths
            ),
            *(
                self._route(path, self._guard.ask(dialect), INFERENCE, "POST", dialect.error)
                for dialect in GUARDS
                for path in dialect.paths
            ),
            *(self._route(path, self._inference.classify, INFERENCE, "POST") for path in TASK_PATHS),
            self._route("/models/{model_id:path}/info", self._info, INFERENCE),
            *(self._route(path, self._of_model(describe), INFERENCE) for path, describe in OF_MODEL.items()),
            *(self._route(one.path, self._look_up(one.answer), one.policy) for one in LOOK_UPS),
            *(self._route(path, self._inference.classify, INFERENCE, "POST") for path in aliases),
            *(self._route(page.path, self._page(page), page.policy, page.method) for page in PAGES),
        ]

    def _route(
        self, path: str, handler: Handler, policy: RoutePolicy, method: str = "GET", shape: ErrorShape | None = None
    ) -> Route:
        """A route for callers whom its policy allows; requests are counted by its template and not by their path.

        `shape` is that of its errors, of a caller who is not let in as well.
        """
        template = path.replace(":path}", "}")

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            state = state_of(scope)
            state.route, state.is_page, state.error_shape = template, policy.is_page, shape
            state.access_token = await self._site.access.caller(policy, scope)
            await self._finish(await handler(Request(scope, receive, send)), scope, receive, send)

        route = Route(path, handler, methods=[method])
        route.app = counted  # NOTE: without Starlette's handling of exceptions, 8 microseconds: `__call__` answers all
        return route

    def _look_up(self, look_up: LookUp) -> Handler:
        async def answer(request: Request) -> Response:
            with self._service.admission:
                body, headers = await look_up(self._service, request)
            return json_response(body, headers)

        return answer

    def _page(self, page: Page) -> Handler:
        async def answer(request: Request) -> Response:
            if page.method == "POST":
                state_of(request).form = await read_form(request, self._bodies)
            with nullcontext() if page.always else self._service.admission:
                return await page.answer(self._site, request)

        return answer

    async def _info(self, request: Request) -> Response:
        with self._service.admission:
            return json_response(await self._service.info(self._inference.permitted_model(request.scope)))

    def _of_model(self, describe: Describe) -> Handler:
        async def answer(request: Request) -> Response:
            with self._service.admission:
                model = self._inference.permitted_model(request.scope)
                return json_response(describe(model.name, await self._service.labels(model)))

        return answer

    async def _health(self, request: Request) -> Response:
        return json_response(LIVE[state_of(request.scope).route])

    async def _protocol(self, _: Request) -> Response:
        return json_response(describe_server(version("labeld")))

    async def _alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._finish(await self._health(Request(scope)), scope, receive, send)

    async def _ready(self, request: Request) -> Response:
        if self._leaving or not self._service.ready():
            raise UnavailableError("This server is not ready: it is stopping, or its engine hangs.")
        return json_response(READY[state_of(request.scope).route])

    async def _describe(self, _: Request) -> Response:
        return Response(self._openapi, media_type="application/json")

    async def _expose(self, _: Request) -> Response:
        return Response(await self._site.workers.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Opens everything before the first request, and closes it after the last."""
        await receive()
        async with AsyncExitStack() as stack:
            if self._tracer:
                stack.push_async_callback(self._tracer.close)
            stack.callback(self._end)
            try:
                self._site = await stack.enter_async_context(open_site(self._settings, self._hosting, self._take))
            except LabeldError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            self._router = PathRouter(self.routes)
            self._start.started(self._router)
            await send({"type": "lifespan.startup.complete"})
            self._hosting.on_ready([*self._site.preloaded], await first_code(self._site.access.authenticator))
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _end(self) -> None:
        self._router = self._start
        self._start.ended()

    def _take(self, service: Service) -> None:
        self._service, self._stop_loading = service, service.stop_loading
        self._inference.service = service


def _has_path(route: Route, scope: Scope) -> bool:
    return route.matches(scope)[0] is not Match.NONE
