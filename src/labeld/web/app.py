"""HTTP <-> Service: the routes, the body, the client that leaves. What bytes mean is `wire`'s business."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from labeld import wire
from labeld.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    LabeldError,
    MethodNotAllowedError,
    OverloadedError,
    RouteNotFoundError,
    UnavailableError,
)
from labeld.messages import ClassifyReply
from labeld.metrics import Metrics
from labeld.service import Service
from labeld.settings import InputLimits, Settings
from labeld.web.hub_routes import LOOK_UPS, LookUp
from labeld.web.openapi import openapi
from labeld.web.pages.render import error_page, wants_html
from labeld.web.pages.routes import PAGES
from labeld.web.pages.site import Page, Site
from labeld.web.status import Status
from labeld.web.watchdog import watch

logger = logging.getLogger(__name__)

TASK = "text-classification"

OpenService = Callable[[Settings], AbstractAsyncContextManager[Service]]
"""Opens a service that answers until the context ends."""

OnReady = Callable[[list[str]], None]
"""Called with the ids of the preloaded models when the server takes requests."""

Handler = Callable[[Request], Awaitable[Response]]


class App:
    """The ASGI application. Holds no state of a request; the service is opened in its lifespan."""

    def __init__(self, settings: Settings, open_service: OpenService, on_ready: OnReady, metrics: Metrics) -> None:
        self._settings, self._open_service, self._on_ready, self._metrics = settings, open_service, on_ready, metrics
        self._service: Service  # set when the lifespan starts, before the first request
        self._site: Site  # as is this
        self._stop_loading: Callable[[], None] = lambda: None
        self._openapi = json.dumps(openapi(settings.inputs)).encode()
        self.routes = self._routes()
        self._router = Router(routes=self.routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or runs the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = wire.request_id(headers.get("x-request-id"), headers.get("x-amzn-trace-id"))
        scope["state"] = {"request_id": request_id, "headers": headers, "route": "", "began": time.perf_counter()}
        scope["app"] = self  # NOTE: so that the router raises for an unknown path or method instead of answering itself
        try:
            if not scope["path"].isprintable():  # NOTE: the router's patterns overlook a newline at the end
                raise RouteNotFoundError
            await self._router(scope, receive, send)
        except HTTPException:
            allowed = {method for route in self.routes if _has_path(route, scope) for method in route.methods or ()}
            known = MethodNotAllowedError(", ".join(sorted(allowed))) if allowed else RouteNotFoundError()
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
        """Ends what may take minutes while a model is loaded; may be called in a signal handler."""
        self._stop_loading()

    def on_refused(self, status: int) -> None:
        """Counts what the connection has refused, so that no route could."""
        self._metrics.turned_away(status)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        status, headers, body = wire.encode_error(error, scope["state"]["request_id"])
        response: Response = _Raw(status, headers, body)
        if scope["method"] in {"GET", "HEAD"} and wants_html(scope["state"]["headers"].get("accept")):
            response = await error_page(response)
        if isinstance(error, OverloadedError):
            self._metrics.refused(error.limit)
        self._count(scope, response)
        await response(scope, receive, send)

    def _count(self, scope: Scope, response: Response) -> None:
        state = scope["state"]
        self._metrics.request(state["route"], response.status_code, time.perf_counter() - state["began"])

    def _routes(self) -> list[Route]:
        classify = ["/hf-inference/models/{model_id:path}"]
        classify.append("/api/inference-proxy/hf-inference/models/{model_id:path}")
        return [
            # NOTE: asked most, so first; a path that has another method below is still found there
            self._route("/models/{model_id:path}", self._classify, "POST"),
            self._route("/", self._classify, "POST"),
            self._route("/info", self._info),
            self._route("/health", self._health),
            self._route("/ready", self._ready),
            self._route("/openapi.json", self._describe),
            self._route("/metrics", self._expose),
            self._route("/status", self._show_status),
            self._route("/pipeline/{task}/{model_id:path}", self._classify, "POST"),
            self._route("/hf-inference/models/{model_id:path}/pipeline/{task}", self._classify, "POST"),
            self._route("/models/{model_id:path}/info", self._info),
            self._route("/models/{model_id:path}/health", self._health_of_model),
            *(self._route(path, self._look_up(look_up)) for path, look_up in LOOK_UPS.items()),
            *(self._route(path, self._classify, "POST") for path in classify),
            *(self._route(page.path, self._page(page), page.method) for page in PAGES),
        ]

    def _route(self, path: str, handler: Handler, method: str = "GET") -> Route:
        """A route whose requests are counted; the template, and never the path, says which it is."""
        template = path.replace(":path}", "}")

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"]["route"] = template
            response = await handler(Request(scope, receive, send))
            self._count(scope, response)
            await response(scope, receive, send)

        route = Route(path, handler, methods=[method])
        route.app = counted  # NOTE: without Starlette's handling of exceptions, 8 microseconds: `__call__` answers all
        return route

    def _look_up(self, look_up: LookUp) -> Handler:
        async def answer(request: Request) -> Response:
            with self._service.admission():
                body, headers = await look_up(self._service, request)
            return _json(body, {"x-request-id": request.state.request_id, **headers})

        return answer

    def _page(self, page: Page) -> Handler:
        async def answer(request: Request) -> Response:
            with self._service.admission():
                return await page.answer(self._site, request)

        return answer

    async def _classify(self, request: Request) -> Response:
        task = request.path_params.get("task", TASK)
        if task != TASK:
            raise InvalidRequestError(f"The task {task!r} is not served here: use {TASK}.")
        service, limits = self._service, self._settings.inputs
        headers, request_id = request.scope["state"]["headers"], request.scope["state"]["request_id"]
        with service.admission():
            body = await _body(request.receive, headers, limits)
            query = request.scope["query_string"].decode("latin-1")
            parsed = wire.parse_request(body, headers, query, limits)
            model_id = request.path_params.get("model_id")
            reply = service.recall(model_id, parsed) or await _unless_gone(service.classify(model_id, parsed), request)
        body = wire.encode_reply(reply)
        return _Raw(200, wire.reply_headers(reply, request_id, len(body)), body)

    async def _info(self, request: Request) -> Response:
        with self._service.admission():
            return _json(await self._service.info(request.path_params.get("model_id")))

    async def _health_of_model(self, request: Request) -> Response:
        with self._service.admission():
            async with self._service.lease(request.path_params["model_id"]):
                return _json({"status": "ok"})

    async def _health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        if not self._service.ready():
            raise UnavailableError("This server is not ready: it is stopping, or its engine hangs.")
        return _json({"status": "ready"})

    async def _describe(self, _: Request) -> Response:
        return Response(self._openapi, media_type="application/json")

    async def _expose(self, _: Request) -> Response:
        return Response(self._metrics.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _show_status(self, _: Request) -> Response:
        return _json(self._site.status.as_json())

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Opens the service and preloads its models before the first request; closes it after the last."""
        await receive()
        async with AsyncExitStack() as stack:
            try:
                self._service = await stack.enter_async_context(self._open_service(self._settings))
                self._stop_loading = self._service.stop_loading
                status = Status(self._service, self._settings)
                self._site = Site(self._service, self._settings, status, needs_token=lambda: False)
                self._metrics.watch(status)
                ready = await self._service.preload()
            except LabeldError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            background = [asyncio.create_task(watch(self._service)), asyncio.create_task(self._service.check_others())]
            await send({"type": "lifespan.startup.complete"})
            self._on_ready(ready)
            await receive()
            for task in background:
                task.cancel()
        await send({"type": "lifespan.shutdown.complete"})


class _Raw(Response):
    """A response of ready-made header bytes: `wire` has decided all of them."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code, self.body, self.raw_headers, self.background = status, body, headers, None


def _has_path(route: Route, scope: Scope) -> bool:
    return route.matches(scope)[0] is not Match.NONE


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode(), headers=headers, media_type="application/json")


async def _body(receive: Receive, headers: Mapping[str, str], limits: InputLimits) -> bytes:
    """The request's body; raises BodyTooLargeError before reading more than the limit."""
    if int(headers.get("content-length", "0")) > limits.max_body_bytes:
        raise BodyTooLargeError(limits.max_body_bytes)
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise UnavailableError("The client has left.")  # nobody reads this
        size += len(message["body"])
        if size > limits.max_body_bytes:
            raise BodyTooLargeError(limits.max_body_bytes)
        chunks.append(message["body"])
        if not message["more_body"]:
            return b"".join(chunks)


async def _unless_gone(answer: Awaitable[ClassifyReply], request: Request) -> ClassifyReply:
    """The answer; cancelled as soon as the client has left, so that nothing queued for it costs engine time."""
    work = asyncio.ensure_future(answer)
    gone = asyncio.create_task(_disconnected(request.receive))
    gone.add_done_callback(lambda _: work.cancel())
    try:
        return await work
    except asyncio.CancelledError:
        if gone.done() and not gone.cancelled():
            raise UnavailableError("The client has left.") from None  # nobody reads this
        raise
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
