"""The answer cache: cached answers, and one computation at a time for identical texts. Lives on one event loop.

A computation belongs to every request that waits for it: it goes on when the request that began it leaves, and stops
with the last one. Its failure is raised only in the request that began it, because the sentence names that request's
texts; the others compute for themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from labeld.cache.keys import Identity, answer_keys
from labeld.cache.memory import MemoryStore
from labeld.types import Answer, ClassifyRequest

Compute = Callable[[Sequence[int]], Awaitable[list[Answer]]]
"""Computes the answers to the texts of a request at the given positions, in their order."""


class SharedStore(Protocol):
    """A store of answers that several servers share. Its methods never raise, and `get` has a time limit."""

    async def open(self) -> None:
        """Connects, if that is possible at once."""
        ...

    async def get(self, keys: Iterable[bytes]) -> Mapping[bytes, Answer]:
        """The answers to those of the keys that it has."""
        ...

    def put(self, answers: Mapping[bytes, Answer]) -> None:
        """Stores answers in the background; some may be lost."""
        ...

    async def close(self) -> None:
        """Ends what runs in the background."""
        ...


@dataclass(slots=True)
class Lookup:
    """The cache's view of one request: made by `AnswerCache.look_up`, and passed along until the reply."""

    request: ClassifyRequest
    scope: str
    """Group of callers that share answers, where the cache separates them (setting cache_scope)."""
    identity: Identity | None
    """Identity of the model; None while it is unknown, and then there are no keys."""
    keys: list[bytes]
    """Cache key of each text."""
    answers: list[Answer | None]
    """Cached answer of each text, None where there is none."""
    reads_cache: bool
    """True when the request takes cached answers (`x-use-cache`)."""
    from_shared: int = 0
    """Number of answers from the shared store."""

    @property
    def complete(self) -> bool:
        """True when there are texts and every one has its answer."""
        return bool(self.answers) and None not in self.answers


@dataclass(slots=True, eq=False)
class InFlight:
    """A computation of answers, and the number of requests that wait for it."""

    keys: list[bytes]
    task: "asyncio.Task[list[Answer]]"
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class CacheUse:
    """The size of the cache in this process."""

    answers: int
    bytes: int
    limit: int
    """Bytes; 0 = none are kept here."""
    shared: bool
    """True when there is a shared store behind it."""


class AnswerCache:
    """Answers in memory and, if there is one, in a shared store behind it."""

    def __init__(self, memory: MemoryStore, shared: SharedStore | None = None, *, per_token: bool = False) -> None:
        """With `per_token` only requests of the same scope find each other's answers (setting cache_scope)."""
        self._memory, self._shared, self._per_token = memory, shared, per_token
        self._enabled = memory.limit > 0 or shared is not None
        self._in_flight: dict[bytes, InFlight] = {}

    def look_up(self, identity: Identity | None, request: ClassifyRequest, scope: str = "") -> Lookup:
        """The request with the answers that are in this process's memory; waits for nothing."""
        reads_cache = self._enabled and request.options.use_cache
        if identity is None:
            return Lookup(request, scope, None, [], [], reads_cache)
        keys = answer_keys(identity, request, scope if self._per_token else "")
        answers = [self._memory.get(key) if reads_cache else None for key in keys]
        return Lookup(request, scope, identity, keys, answers, reads_cache)

    def must_compute(self, lookup: Lookup) -> bool:
        """Whether an answer is missing that neither the shared store can have nor another request computes."""
        if not lookup.reads_cache:
            return True
        missing = (key for key, answer in zip(lookup.keys, lookup.answers, strict=True) if answer is None)
        return self._shared is None and any(key not in self._in_flight for key in missing)

    async def read_shared(self, lookup: Lookup) -> None:
        """Adds to the look-up those missing answers that the shared store has, if there is one."""
        if self._shared and lookup.reads_cache and None in lookup.answers:
            pairs = list(zip(lookup.keys, lookup.answers, strict=True))
            there = await self._shared.get(dict.fromkeys(key for key, answer in pairs if answer is None))
            for key, answer in there.items():
                self._memory.put(key, answer)
            lookup.answers = [answer or there.get(key) for key, answer in pairs]
            lookup.from_shared = sum(answer is None and key in there for key, answer in pairs)

    async def complete(self, lookup: Lookup, compute: Compute) -> list[Answer]:
        """Every text's answer: those missing are computed, or waited for where another request computes them already.

        Raises what `compute` raises. Until this returns or raises the caller keeps what `compute` needs, which then
        is there also for a request that has left.
        """
        if not lookup.reads_cache:
            answers = await compute(range(len(lookup.keys)))
            self._put(lookup.keys, answers)
            return answers
        there: dict[bytes, Answer] = {}
        missing: dict[bytes, int] = {}
        for index, (key, found) in enumerate(zip(lookup.keys, lookup.answers, strict=True)):
            if answer := found or self._memory.get(key):  # another request may have computed it since the look-up
                there[key] = answer
            else:
                missing.setdefault(key, index)
        if missing:
            there |= await self._computed(missing, compute)
        return [there[key] for key in lookup.keys]

    def use(self) -> CacheUse:
        """The current size."""
        return CacheUse(self._memory.count, self._memory.used, self._memory.limit, self._shared is not None)

    async def close(self) -> None:
        """Ends what runs in the background."""
        if self._shared:
            await self._shared.close()

    async def _computed(self, missing: dict[bytes, int], compute: Compute) -> dict[bytes, Answer]:
        """The answers to these keys, at these positions of the request."""
        joined = {self._in_flight[key] for key in missing if key in self._in_flight}
        own = {key: index for key, index in missing.items() if key not in self._in_flight}
        there: dict[bytes, Answer] = {}
        pending = [*([self._start(own, compute)] if own else []), *joined]
        for one in pending:
            one.waiting += 1
        try:
            for one in pending:
                await asyncio.wait([one.task])
                if one not in joined or _succeeded(one.task):
                    there |= dict(zip(one.keys, one.task.result(), strict=True))
        finally:
            await self._leave(pending)
        left = {key: index for key, index in missing.items() if key not in there}
        if left:  # the request that computed them has failed
            answers = await compute(list(left.values()))
            self._put(left, answers)
            there |= dict(zip(left, answers, strict=True))
        return there

    def _start(self, own: dict[bytes, int], compute: Compute) -> InFlight:
        """Begins to compute."""
        one = InFlight([*own], asyncio.create_task(self._run([*own], [*own.values()], compute)))
        self._in_flight |= dict.fromkeys(own, one)
        one.task.add_done_callback(lambda _: self._finish(one))
        return one

    async def _run(self, keys: list[bytes], indexes: list[int], compute: Compute) -> list[Answer]:
        answers = await compute(indexes)
        self._put(keys, answers)
        return answers

    async def _leave(self, pending: list[InFlight]) -> None:
        """Removes a request from those that wait; the last one cancels the computation and waits for its end."""
        stopped = []
        for one in pending:
            one.waiting -= 1
            if one.waiting == 0 and not one.task.done():
                self._finish(one)  # no other request may join it any more
                one.task.cancel()
                stopped.append(one.task)
        if stopped:
            await asyncio.wait(stopped)

    def _finish(self, one: InFlight) -> None:
        for key in one.keys:
            if self._in_flight.get(key) is one:
                del self._in_flight[key]
        if one.task.done():
            _succeeded(one.task)  # marks its exception as seen: the request that began it may have left

    def _put(self, keys: Iterable[bytes], answers: list[Answer]) -> None:
        finished = dict(zip(keys, answers, strict=True))
        for key, answer in finished.items():
            self._memory.put(key, answer)
        if self._shared:
            self._shared.put(finished)


def _succeeded(task: "asyncio.Task[list[Answer]]") -> bool:
    return not task.cancelled() and task.exception() is None
