"""Requests that a model answers: the hosted API's, and those of other dialects. All take one way to the service."""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError
from labeld.protocol.dialects import labelled, zero_shot
from labeld.protocol.dialects.base import Answered, Asked, Call, Dialect, Question
from labeld.protocol.request import ignored_query, options_of, read_body, request_of
from labeld.protocol.response import encode_json, encode_reply, rankings, reply_headers
from labeld.repository.resolver import ResolvedModel
from labeld.service.aliases import completed, cut_instead, read_as
from labeld.service.service import Service
from labeld.service.shadows import Rankings
from labeld.tokenization.errors import StrideTooLargeError, TooManyWindowsError
from labeld.types import ClassifyReply, ClassifyRequest, Ranking
from labeld.web.hosting import AppHosting
from labeld.web.raw_response import RawResponse
from labeld.web.request_body import BodyReader, cancel_on_disconnect
from labeld.web.request_state import RequestState, state_of
from labeld.web.security.authorization import require_model

T = TypeVar("T")

TASK = "text-classification"
TASKS = (TASK, zero_shot.TASK, "text-ranking")
(ZERO_SHOT,) = zero_shot.DIALECTS


class Inference:
    """Answers requests by a model. `service` is set before the first one."""

    service: Service

    def __init__(self, settings: Settings, hosting: AppHosting, bodies: BodyReader) -> None:
        self._limits, self._hosting, self._bodies = settings.inputs, hosting, bodies
        self._logs_models = settings.logs.log_format == "json"

    async def classify(self, request: Request) -> Response:
        """The hosted API's text-classification; with candidate labels its zero-shot-classification."""
        scope, state = request.scope, state_of(request.scope)
        task = scope["path_params"].get("task", TASK)
        if task != TASK:
            raise InvalidRequestError(f"The task {task!r} is not served here: use {', '.join(TASKS)}.")
        state.classifies = True
        self.service.admission.require_room()
        is_early = self._logs_models or (state.access_token and state.access_token.models)
        model = self.permitted_model(scope) if is_early else None
        body = await self._bodies.read(request, self._limits.max_body_bytes)
        with self.service.admission:  # NOTE: not before, so that a body that crawls takes nobody's place
            value = read_body(body, state.headers, self._limits)
            if zero_shot.asks_for_labels(value):
                return await self._answer(request, ZERO_SHOT, value)
            query = scope["query_string"].decode("latin-1")
            asked = request_of(value, state.headers, query, self._limits)
            model = model or self.permitted_model(scope)
            if model.alias and model.alias.zero_shot.candidate_labels and labelled.takes_candidates(asked):
                return await self._answer(request, labelled.DIALECT, value)
            reply = await self._reply(request, model, asked, asked)
        return self.response(scope, reply, encode_reply(reply))

    def ask(self, dialect: Dialect[Question]) -> Callable[[Request], Awaitable[Response]]:
        """The handler of a dialect's route."""
        return self.handler(dialect, self._answer)

    def handler(
        self, dialect: Dialect[Asked], answer: Callable[[Request, Dialect[Asked], Any], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The handler of a dialect's route, which has the value of a body answered while the request is admitted."""

        async def handle(request: Request) -> Response:
            state = state_of(request.scope)
            state.classifies = True
            self.service.admission.require_room()
            body = await self._bodies.read(request, self._limits.max_body_bytes)
            with self.service.admission:
                return await answer(request, dialect, dialect.read(body, state.headers, self._limits))

        return handle

    def call(self, request: Request, value: Any) -> Call:
        """The call that the value of a body and the request around it are."""
        state, named = state_of(request.scope), request.scope["path_params"].get
        model_id, version, options = named("model_id"), named("version"), options_of(value, state.headers)
        now = int(time.time())
        return Call(value, state.headers, model_id, version, self._limits, options, state.request_id, now)

    def permitted_model(self, scope: Scope, name: str | None = None) -> ResolvedModel:
        """The model of this name, or that the path names; raises ForbiddenTokenError where the token may not use it."""
        state, model = state_of(scope), self.service.resolve(name or scope["path_params"].get("model_id"))
        state.model = model.public_id
        require_model(state.access_token, model.public_id)
        return model

    async def answered(self, state: RequestState, model: ResolvedModel, asked: ClassifyRequest) -> ClassifyReply:
        """The answers to one of several requests that a call is, each to a model of its own."""
        return await self.service.beside.answer(model, asked, state.cache_scope)

    async def until_disconnected(self, work: Awaitable[T], request: Request) -> T:
        """The result of work, which is cancelled when the client leaves, or when it takes longer than it may."""
        return await cancel_on_disconnect(work, request, self._hosting.answer_within)

    async def _answer(self, request: Request, dialect: Dialect[Question], value: Any) -> Response:
        """The response to the value of a body in a dialect."""
        scope, call = request.scope, self.call(request, value)
        question = dialect.parse(call)
        name = question.model or self.service.model_of(question.role)
        model = self.permitted_model(scope, name)
        plain = question = completed(question, model.alias)
        labels = self.service.labels_at_once(model)
        if labels is None:
            labels = await self.until_disconnected(self.service.labels(model, call.options), request)
        if model.alias:
            question = read_as(plain, model.alias)

        def compared(texts: Sequence[Any]) -> list[Ranking]:
            return question.rankings(Answered(texts, labels, "", 0))

        in_query = ignored_query(scope["query_string"].decode("latin-1"))

        def request_of_question(one: Question) -> ClassifyRequest:
            made = one.request(labels)
            return made._replace(ignored=(*made.ignored, *in_query))

        unread = request_of_question(plain)
        asked = unread if question is plain else request_of_question(question)
        reply = await self._reply(request, model, asked, unread, compared)
        texts = json.loads(encode_reply(reply))
        tokens = sum([answer.tokens for answer in reply.answers])
        answered = Answered(texts, labels, question.model or model.public_id, tokens)
        return self.response(scope, reply, encode_json(question.reply(answered)))

    async def _reply(
        self,
        request: Request,
        model: ResolvedModel,
        asked: ClassifyRequest,
        plain: ClassifyRequest,
        compared: Rankings = rankings,
    ) -> ClassifyReply:
        """The answers to a request, from the cache or by the model; models are compared by what `compared` makes.

        `plain` is the request without the windows of an alias. It is cut where those cannot read it: a default must not
        refuse what a request asks that says nothing of windows.
        """
        state, wait = state_of(request.scope), partial(self.until_disconnected, request=request)
        state.asked = asked
        try:
            reply = await self.service.beside.answer(model, asked, state.cache_scope, wait, compared)
        except (StrideTooLargeError, TooManyWindowsError):
            if (cut := cut_instead(plain, model.alias)) is None:
                raise
            state.asked = cut
            reply = await self.service.beside.answer(model, cut, state.cache_scope, wait, compared)
        state.reply = reply
        return reply

    @staticmethod
    def response(scope: Scope, reply: ClassifyReply, body: bytes) -> Response:
        """The response with this body, whose headers say how it came about."""
        state = state_of(scope)
        if reply.timings:
            reply.timings.total = time.perf_counter() - state.began
        return RawResponse(200, reply_headers(reply, state.request_id, len(body)), body)
