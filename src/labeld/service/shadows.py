"""Shadows: second models that are asked with an alias's requests beside the live one, once that has answered.

One request at a time is asked, text by text, and only while no others wait (`scheduler.queue.ModelQueue.background`):
a live text waits for no more than the one shadow text that runs. What does not fit into the queue is dropped.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from labeld.lifecycle.loader import LoadedModel
from labeld.metrics.candidates import Comparison, ShadowOutcome
from labeld.metrics.observer import Observer
from labeld.protocol.dialects.base import ALL_SCORES
from labeld.protocol.response import encode_answer, encode_reply
from labeld.repository.resolver import ResolvedModel
from labeld.scheduler.dispatcher import Dispatcher
from labeld.scoring import reaching
from labeld.service.aliases import with_defaults
from labeld.service.candidates import BUSY, UNFIT, Candidates
from labeld.service.scorer import Scorer
from labeld.types import ClassifyReply, ClassifyRequest, Options, Ranking

MOST_WAITING = 64
"""Requests that wait to be asked with, at most."""
MOST_CHARACTERS = 4_000_000
"""Characters of their texts, at most."""
IF_LOADED = Options(load_model=False)

Rankings = Callable[[Sequence[Any]], list[Ranking]]
"""The answers to a question as rankings, from those to its texts as `protocol.response.encode_answer` writes them,
decoded: what two models are compared by."""


class Models(Protocol):
    """The part of a service that shadows need."""

    scorer: Scorer

    def lease(self, model: ResolvedModel, options: Options = ...) -> AbstractAsyncContextManager[LoadedModel]:
        """A lease of the loaded model, its labels called as the alias calls them."""
        ...


class Job(NamedTuple):
    """A request to an alias with a shadow, and its live answer."""

    model: ResolvedModel
    asked: ClassifyRequest
    reply: ClassifyReply
    rankings: Rankings


class Shadows:
    """The requests that wait to be asked with; `run` asks. Use it on the event loop."""

    def __init__(self, models: Models, candidates: Candidates, dispatcher: Dispatcher, observer: Observer) -> None:
        self._models, self._candidates = models, candidates
        self._dispatcher, self._observer = dispatcher, observer
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(MOST_WAITING)
        self._characters = 0

    def offer(self, job: Job) -> None:
        """Takes a request, or drops it where too many wait; returns at once."""
        characters = job.asked.characters
        if self._jobs.full() or self._characters + characters > MOST_CHARACTERS:
            self._count(job, "dropped")
            return
        self._characters += characters
        self._jobs.put_nowait(job)

    async def run(self) -> None:
        """Asks until cancelled."""
        while True:
            job = await self._jobs.get()
            self._characters -= job.asked.characters
            await self._ask(job)

    async def _ask(self, job: Job) -> None:
        """Asks with one request, and counts what became of it."""
        try:
            candidate = self._candidates.find(job.model, "shadow")
            await self._candidates.require(job.model, candidate)
            comparisons = await self._compared(job, candidate)
        except Exception as error:  # noqa: BLE001  # a shadow never stops
            self._candidates.say(job.model, "shadow", error)
            self._count(job, "dropped" if isinstance(error, (*BUSY, *UNFIT)) else "failed")
            return
        alias, shadow = _named(job)
        self._observer.shadow(alias, shadow, "asked")
        self._observer.compared(alias, shadow, comparisons)

    async def _compared(self, job: Job, candidate: ResolvedModel) -> list[Comparison]:
        parameters = with_defaults(job.asked.parameters, job.model.alias)
        every = replace(
            parameters, top_k=None, threshold=ALL_SCORES
        )  # the score of any label may be the live best one's
        async with self._models.lease(candidate, IF_LOADED) as loaded:
            queue = self._dispatcher.attach(loaded.model.engine, background=True)
            beside = replace(loaded, queue=queue)
            try:
                scored = [
                    one
                    for index, text in enumerate(job.asked.texts)
                    for one in await self._models.scorer.score(beside, [text], every, [index])
                ]
            finally:
                await self._dispatcher.detach(queue)
        kept = [one._replace(ranking=reaching(one.ranking, parameters.threshold)) for one in scored]
        return compare(
            job.rankings(json.loads(encode_reply(job.reply))),
            job.rankings([json.loads(encode_answer(one)) for one in kept]),
            job.rankings([json.loads(encode_answer(one)) for one in scored]),
        )

    def _count(self, job: Job, outcome: ShadowOutcome) -> None:
        self._observer.shadow(*_named(job), outcome)


def compare(live: Sequence[Ranking], shadow: Sequence[Ranking], scores: Sequence[Ranking]) -> list[Comparison]:
    """How each answer differs, given the live ones, the shadow's, and the shadow's scores of all labels."""
    comparisons: list[Comparison] = []
    for ours, theirs, every in zip(live, shadow, scores, strict=True):
        best, other = (one[0].label if one else None for one in (ours, theirs))
        shift = None if best is None else abs(ours[0].score - dict(every)[best])
        comparisons.append((best != other, shift))
    return comparisons


def _named(job: Job) -> tuple[str, str]:
    """The alias, and its shadow as the file names it."""
    alias = job.model.alias
    assert alias is not None
    assert alias.shadow is not None
    return alias.alias, alias.shadow.model
