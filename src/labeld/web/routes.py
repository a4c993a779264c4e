"""The table of routes: the path, the method and the handler of each, and whom it lets in."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from importlib.metadata import version

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from labeld.error_reply import ErrorShape
from labeld.errors import UnavailableError
from labeld.protocol.dialects.open_inference import describe_server, versioned
from labeld.service.service import Service
from labeld.web.dialects import DIALECTS, GUARDS, LIVE, OF_MODEL, READY, Describe
from labeld.web.guard import Guard
from labeld.web.hub_api import LOOK_UPS, LookUp
from labeld.web.inference import Inference
from labeld.web.pages.context import Page, Site
from labeld.web.pages.rendering import json_response
from labeld.web.pages.routes import PAGES
from labeld.web.request_body import BodyReader
from labeld.web.request_state import state_of
from labeld.web.security.authorization import INFERENCE, PUBLIC, RoutePolicy
from labeld.web.security.forms import read_form

TASK_PATHS = ("/pipeline/{task}/{model_id:path}", "/hf-inference/models/{model_id:path}/pipeline/{task}")

Handler = Callable[[Request], Awaitable[Response]]
Finish = Callable[[Response, Scope, Receive, Send], Awaitable[None]]
"""Counts a request that has its response, and answers it."""


class Routes:
    """The routes of an application, and the handlers that are too small for a module of their own."""

    site: Site
    """Set before the first request that needs it."""
    service: Service
    """Set before `site` is, when the models still have to be loaded."""
    is_leaving = False
    """Whether /ready is 503 although requests are answered."""

    def __init__(self, inference: Inference, guard: Guard, bodies: BodyReader, openapi: bytes, finish: Finish) -> None:
        self._inference, self._guard, self._bodies = inference, guard, bodies
        self._openapi, self._finish = openapi, finish

    def table(self) -> list[Route]:
        """Every route, in the order in which their patterns are tried."""
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
            state.access_token = await self.site.access.caller(policy, scope)
            await self._finish(await handler(Request(scope, receive, send)), scope, receive, send)

        route = Route(path, handler, methods=[method])
        route.app = counted  # NOTE: without Starlette's handling of exceptions, 8 microseconds: `__call__` answers all
        return route

    def _look_up(self, look_up: LookUp) -> Handler:
        async def answer(request: Request) -> Response:
            with self.service.admission:
                body, headers = await look_up(self.service, request)
            return json_response(body, headers)

        return answer

    def _page(self, page: Page) -> Handler:
        async def answer(request: Request) -> Response:
            if page.method == "POST":
                state_of(request).form = await read_form(request, self._bodies)
            with nullcontext() if page.always else self.service.admission:
                return await page.answer(self.site, request)

        return answer

    async def _info(self, request: Request) -> Response:
        with self.service.admission:
            # NOTE: who asks without a name is a client of a server with one model, most of which rank
            name = request.path_params.get("model_id") or self.service.model_of("reranker")
            return json_response(await self.service.info(self._inference.permitted_model(request.scope, name)))

    def _of_model(self, describe: Describe) -> Handler:
        async def answer(request: Request) -> Response:
            with self.service.admission:
                named = request.path_params["model_id"]
                version = request.path_params.get("version")
                model = self._inference.permitted_model(request.scope, versioned(named, version))
                return json_response(describe(named, await self.service.labels(model)))

        return answer

    async def _health(self, request: Request) -> Response:
        return json_response(LIVE[state_of(request.scope).route])

    async def _protocol(self, _: Request) -> Response:
        return json_response(describe_server(version("labeld")))

    async def alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request to a path of LIVE."""
        await self._finish(await self._health(Request(scope)), scope, receive, send)

    async def _ready(self, request: Request) -> Response:
        if self.is_leaving or not self.service.ready():
            raise UnavailableError("This server is not ready: it is stopping, or its engine hangs.")
        return json_response(READY[state_of(request.scope).route])

    async def _describe(self, _: Request) -> Response:
        return Response(self._openapi, media_type="application/json")

    async def _expose(self, _: Request) -> Response:
        return Response(await self.site.workers.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})
