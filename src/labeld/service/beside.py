"""The way of every request: to the model that it asks for, or to the second one of an alias (split, shadow)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from labeld.cache.answers import Lookup
from labeld.config.models_file import Candidate
from labeld.errors import LabeldError
from labeld.metrics.observer import Observer
from labeld.protocol.response import rankings
from labeld.repository.resolver import ResolvedModel
from labeld.scheduler.dispatcher import Dispatcher
from labeld.service.candidates import Candidates, position
from labeld.service.shadows import Job, Models, Rankings, Shadows
from labeld.types import ClassifyReply, ClassifyRequest

Wait = Callable[[Awaitable[ClassifyReply]], Awaitable[ClassifyReply]]
"""Waits for an answer that is not there at once, for as long as the client does."""


def at_once(answer: Awaitable[ClassifyReply]) -> Awaitable[ClassifyReply]:
    """Waits for an answer by nothing but awaiting it."""
    return answer


class Answerer(Models, Protocol):
    """The part of a service that answers by one model."""

    def look_up(self, model: ResolvedModel, request: ClassifyRequest, scope: str = "") -> Lookup:
        """The request with the answers that are cached in this process."""
        ...

    def get_cached(self, model: ResolvedModel, lookup: Lookup) -> ClassifyReply | None:
        """The reply, if every answer is cached."""
        ...

    def require_room(self, model: ResolvedModel, lookup: Lookup) -> None:
        """Raises the OverloadedError that `classify` is sure to raise."""
        ...

    async def classify(self, model: ResolvedModel, lookup: Lookup) -> ClassifyReply:
        """The reply; raises LabeldError."""
        ...


class Beside:
    """Answers requests, and has shadows asked with them. Use it on the event loop."""

    def __init__(self, service: Answerer, candidates: Candidates, dispatcher: Dispatcher, observer: Observer) -> None:
        self._service, self._candidates, self._observer = service, candidates, observer
        self.shadows = Shadows(service, candidates, dispatcher, observer)

    async def answer(
        self,
        model: ResolvedModel,
        asked: ClassifyRequest,
        scope: str,
        wait: Wait = at_once,
        compared: Rankings = rankings,
    ) -> ClassifyReply:
        """The answers to a request; raises LabeldError, but never because of a second model.

        `scope` is the id of the caller's access token, or empty, and `compared` what models are compared by.
        """
        entry = model.alias
        if entry is None or not entry.candidates:
            return await self._by_live(model, asked, scope, wait)
        split = entry.split
        if split is None:
            reply = await self._by_live(model, asked, scope, wait)
        else:
            is_turn = position(entry.alias, "split", asked.texts) < split.share
            answer = self._by_candidate if is_turn else self._by_live
            reply = await answer(model, asked, scope, wait)
            by_candidate = reply.model == split.model
            self._observer.split(entry.alias, split.model, "candidate" if by_candidate else "live")
            if by_candidate:
                return reply
            reply = reply._replace(model=entry.model)
        is_new = reply.compute_type != "cache"  # a cached answer was compared when it was computed
        if entry.shadow and is_new and position(entry.alias, "shadow", asked.texts) < entry.shadow.share:
            self.shadows.offer(Job(model, asked, reply, compared))
        return reply

    async def _by_live(self, model: ResolvedModel, asked: ClassifyRequest, scope: str, wait: Wait) -> ClassifyReply:
        """The answers of the model itself."""
        lookup = self._service.look_up(model, asked, scope)
        if reply := self._service.get_cached(model, lookup):
            return reply
        self._service.require_room(model, lookup)
        return await wait(self._service.classify(model, lookup))

    async def _by_candidate(
        self, model: ResolvedModel, asked: ClassifyRequest, scope: str, wait: Wait
    ) -> ClassifyReply:
        """The answers of the second model of a split, with its name; of the model itself where that one cannot."""
        return self._cached_by_candidate(model, asked, scope) or await wait(self._by_either(model, asked, scope))

    def _cached_by_candidate(self, model: ResolvedModel, asked: ClassifyRequest, scope: str) -> ClassifyReply | None:
        try:
            candidate, lookup = self._look_up(model, asked, scope)
        except LabeldError:  # which is said where it is asked
            return None
        if not self._candidates.checked(candidate, lookup.identity):
            return None
        reply = self._service.get_cached(candidate, lookup)
        return reply and reply._replace(model=self._split(model).model)

    def _look_up(self, model: ResolvedModel, asked: ClassifyRequest, scope: str) -> tuple[ResolvedModel, Lookup]:
        """The second model, which no request has loaded, and what is cached of its answers."""
        candidate = self._candidates.find(model, "split")
        request = asked._replace(options=replace(asked.options, load_model=False))
        return candidate, self._service.look_up(candidate, request, scope)

    async def _by_either(self, model: ResolvedModel, asked: ClassifyRequest, scope: str) -> ClassifyReply:
        split = self._split(model)
        try:
            candidate, lookup = self._look_up(model, asked, scope)
            await self._candidates.require(model, candidate)
            reply = await self._service.classify(candidate, lookup)
            return reply._replace(model=split.model)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is no client's
            failure = error
        reply = await self._service.classify(model, self._service.look_up(model, asked, scope))
        # only now: a request that is wrong in itself says nothing of the second model
        self._candidates.say(model, "split", failure)
        self._observer.split(model.public_id, split.model, "failed")
        return reply

    @staticmethod
    def _split(model: ResolvedModel) -> Candidate:
        assert model.alias is not None
        assert model.alias.split is not None
        return model.alias.split
