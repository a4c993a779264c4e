"""The pool of loaded models: each loaded once, leased while it is used, evicted when its memory is needed.

One event loop owns all of this; nothing polls and no thread waits. A lease is counted before anybody could evict the
model, so a model that is in use cannot be evicted: eviction only ever looks among those with no lease. Loads take
turns, and whatever changes the memory (loading, closing) happens inside a turn.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Generic

from labeld.config.settings import Residency
from labeld.errors import LabeldError, ModelTooLargeError
from labeld.lifecycle.backoff import Backoff
from labeld.lifecycle.errors import MemoryInUseError, TooManyWaitingError
from labeld.lifecycle.pool_entry import Counts, Load, Loader, M, PoolEntry
from labeld.repository.resolver import ResolvedModel


class Registry(Generic[M]):
    """The pool: loaded models by id, within a budget of bytes for the whole process. Use it on one event loop."""

    def __init__(self, loader: Loader[M], limits: Residency, budget: int, measure: Callable[[], int]) -> None:
        """`measure` gives the bytes that this process uses now."""
        self._loader, self._limits, self.budget, self._measure = loader, limits, budget, measure
        self._entries: OrderedDict[str, PoolEntry[M]] = OrderedDict()  # the least recently used first
        self._replaced: list[PoolEntry[M]] = []  # leased still, or waiting for their turn to be closed
        self._loads: dict[str, Load[M]] = {}
        self._failures = Backoff()
        self._pinned: set[str] = set()
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()  # set when there may be more room, or nobody left who needs it
        self._at_first = measure()
        self._base = self._at_first  # what the process takes beside its models; learned anew by each eviction
        self._unloads: set[asyncio.Task[None]] = set()
        self._closed: LabeldError | None = None
        self.counts = Counts()
        self.waiting = 0
        """Callers that wait for a load."""

    @asynccontextmanager
    async def lease(self, model: ResolvedModel, wait: float | None = None) -> AsyncIterator[M]:
        """A lease of the model for the duration of the context; the model is loaded first if need be.

        Waits at most so many seconds for the load, or without end. Raises TimeoutError then, OverloadedError when too
        many wait, and what the load raised. A caller that leaves does not stop a load: the next request will want it.
        """
        entry = self._entries.get(model.model_id)
        if entry is None:
            entry = await self._when_loaded(model, wait)
        else:
            self._grant(entry)
        try:
            yield entry.model
        finally:
            self._release(entry)

    async def load_beside(self, model: ResolvedModel) -> None:
        """Loads a model if there is room for it beside those that are loaded, as nobody whom a request waits for.

        Raises MemoryInUseError where there is not, or what the load raised.
        """
        if error := self._closed or self.failure(model.model_id):
            raise error.with_traceback(None)
        if model.model_id not in self._entries:
            self._release(await self._begun(model, beside=True).wait())

    async def preload(self, models: Sequence[ResolvedModel], *, some: bool) -> list[str]:
        """Loads these models, one after another; the ids of those that could be, which with `some` need not be all.

        Raises what a load raised: of the first that failed, or, with `some`, of the last where all have.
        """
        loaded: list[str] = []
        for model in models:
            try:
                async with self.lease(model):
                    loaded.append(model.model_id)
            except LabeldError:
                if not some or (model is models[-1] and not loaded):
                    raise
        return loaded

    def pin(self, model_id: str) -> None:
        """Exempts this model from eviction, also if it is loaded later."""
        self._pinned.add(model_id)

    def pinned(self, model_id: str) -> bool:
        """True when the model is never evicted."""
        return model_id in self._pinned

    def loaded(self) -> list[PoolEntry[M]]:
        """The loaded models, the least recently used first."""
        return list(self._entries.values())

    def is_loaded(self, model_id: str) -> bool:
        """True when the model is loaded."""
        return model_id in self._entries

    def current(self, model_id: str) -> M | None:
        """A loaded model, to be looked at before anything is awaited and not to be run: that takes a lease."""
        entry = self._entries.get(model_id)
        return None if entry is None else entry.model

    def loads(self) -> dict[str, float | None]:
        """Ids of models that are being loaded, in the order they were asked for, and for how many seconds already.

        None stands for one whose turn has not come.
        """
        now = asyncio.get_running_loop().time()
        return {model_id: None if load.began is None else now - load.began for model_id, load in self._loads.items()}

    def failure(self, model_id: str) -> Exception | None:
        """The failure of the last load, until it may be tried again; else None."""
        return self._failures.current(model_id)

    def used(self) -> int:
        """Bytes that the process uses: what is measured, and no less than its models are known to take."""
        return max(self._measure(), self._base + sum(one.bytes for one in self._everybody()))

    def close(self, error: LabeldError) -> None:
        """Raises this error in everybody who waits for a load, now and later, and stops what has not begun."""
        self._closed = error
        for load in self._loads.values():
            load.reject(error)
            if load.task:
                load.task.cancel()
        for entry in self._entries.values():
            entry.stop_timer()

    def replace(self, model_id: str) -> bool:
        """Closes a model whose files have changed, once its leases end; the next request loads it anew.

        False where it is not loaded any more.
        """
        entry = self._entries.pop(model_id, None)
        if entry is None:
            return False
        self._replaced.append(entry)
        if not entry.leases:
            self._unload(entry, entry.last_used)
        return True

    async def _when_loaded(self, model: ResolvedModel, wait: float | None) -> PoolEntry[M]:
        """Waits for the load of the model, and returns it with a lease counted for this caller."""
        if error := self._closed or self.failure(model.model_id):
            raise error.with_traceback(None)
        if self.waiting >= self._limits.max_waiting:
            raise TooManyWaitingError(self.waiting)
        load = self._begun(model)
        load.beside = False
        self.waiting += 1
        try:
            return await load.wait(wait)
        finally:
            self.waiting -= 1
            self._room.set()

    def _begun(self, model: ResolvedModel, *, beside: bool = False) -> Load[M]:
        """The load of the model that is under way, or else a new one."""
        if load := self._loads.get(model.model_id):
            return load
        load = self._loads[model.model_id] = Load(self._release, beside)
        load.task = asyncio.create_task(self._load(model, load))
        return load

    async def _load(self, resolved: ResolvedModel, load: Load[M]) -> None:
        """Carries out one load, and passes its result or failure to everybody who waits."""
        loop, model_id = asyncio.get_running_loop(), resolved.model_id
        try:
            needed = await self._loader.prepare(resolved)
            async with self._turn:
                if not await self._make_room(model_id, needed, load):
                    return
                load.began = loop.time()
                before = self._measure()
                model = await self._loader.load(model_id)
                size = max(self._loader.size(model), self._measure() - before)
                entry = self._entries[model_id] = PoolEntry(model_id, model, size, loop.time(), load.beside)
                del model  # so that evicting it frees it
                self._failures.reset(model_id)
                self.counts.loads += 1
                if load.beside and self.used() > self.budget:  # it took more than expected, and is not asked yet
                    await self._evict(entry)
                    raise MemoryInUseError(model_id, size, self.budget - self.used())
                self._deliver(entry, load)
                await self._evict_until_it_fits(entry)
        except Exception as error:  # noqa: BLE001  # it is raised in those who wait
            if not isinstance(error, MemoryInUseError):  # the next try may find room
                self._failures.record(model_id, error)
            self.counts.failures += 1
            load.reject(error)
        finally:
            del self._loads[model_id]

    def _deliver(self, entry: PoolEntry[M], load: Load[M]) -> None:
        """Gives every waiter its lease at once, so that nobody can evict the model before its first use."""
        for waiter in load.waiters:
            if not waiter.done():
                self._grant(entry)
                waiter.set_result(entry)
        if not entry.leases:
            self._rest(entry)

    async def _make_room(self, model_id: str, needed: int, load: Load[M]) -> bool:
        """Evicts idle models until so many bytes are free, waiting for leases to end if it must.

        False when everybody who wanted the model has left meanwhile. Raises ModelTooLargeError when it would not fit
        into a process that has nothing but its pinned models, and MemoryInUseError when it would, but not now; both
        before anything is evicted for it, where that is known.
        """
        if self.used() + needed > self.budget:
            await self._loader.trim_memory()
            self._learn()
        pinned = sum(one.bytes for one in self._entries.values() if one.model_id in self._pinned)
        if self._at_first + pinned + needed > self.budget:
            raise ModelTooLargeError(model_id, needed, self.budget - self._at_first - pinned)
        while self.used() + needed > self.budget:
            if self._base + pinned + needed > self.budget:
                raise MemoryInUseError(model_id, needed, self.budget - self._base - pinned)
            if not load.beside and (idle := self._least_recently_used()):
                await self._evict(idle)
            elif not load.beside and any(one.leases for one in self._unpinned()):
                if not load.waiters:
                    return False
                self._room.clear()
                await self._room.wait()
            else:
                raise MemoryInUseError(model_id, needed, self.budget - self.used())
        return True

    async def _evict_until_it_fits(self, newest: PoolEntry[M]) -> None:
        """Evicts idle models after a load that took more memory than expected."""
        while self.used() > self.budget and (idle := self._least_recently_used(newest)):
            await self._evict(idle)

    def _least_recently_used(self, spared: PoolEntry[M] | None = None) -> PoolEntry[M] | None:
        """The idle model that may be evicted and was least recently used; None if there is none."""
        return next((one for one in self._unpinned() if not one.leases and one is not spared), None)

    def _unpinned(self) -> Iterator[PoolEntry[M]]:
        """All that may be evicted once it is not leased: what was replaced, pinned or not; then what is beside."""
        unpinned = [one for one in self._entries.values() if one.model_id not in self._pinned]
        return chain(self._replaced, sorted(unpinned, key=lambda one: not one.beside))

    def _everybody(self) -> Iterator[PoolEntry[M]]:
        """All models in memory."""
        return chain(self._entries.values(), self._replaced)

    def _learn(self) -> None:
        """Measures the memory of the process without its models."""
        self._base = max(self._at_first, self._measure() - sum(one.bytes for one in self._everybody()))

    async def _evict(self, entry: PoolEntry[M]) -> None:
        """Closes a model without leases, and measures anew the memory of the process without its models."""
        assert not entry.leases
        if entry in self._replaced:
            self._replaced.remove(entry)
        else:
            del self._entries[entry.model_id]
        entry.stop_timer()
        closing = self._loader.close(entry.model)
        del entry.model  # the loader holds the last reference now
        await closing
        self.counts.evictions += 1
        self._learn()

    def _grant(self, entry: PoolEntry[M]) -> None:
        entry.leases += 1
        entry.stop_timer()

    def _release(self, entry: PoolEntry[M]) -> None:
        entry.leases -= 1
        if not entry.leases:
            self._rest(entry)

    def _rest(self, entry: PoolEntry[M]) -> None:
        """Marks a model without leases as most recently used, and starts the timer of `idle_timeout`."""
        loop = asyncio.get_running_loop()
        entry.last_used = loop.time()
        self._room.set()
        if entry in self._replaced:
            self._unload(entry, entry.last_used)
            return
        self._entries.move_to_end(entry.model_id)
        if self._limits.idle_timeout and entry.model_id not in self._pinned and not self._closed:
            entry.timer = loop.call_later(self._limits.idle_timeout, self._unload, entry, entry.last_used)

    def _unload(self, entry: PoolEntry[M], last_used: float) -> None:
        async def unload() -> None:
            async with self._turn:
                is_here = any(one is entry for one in self._everybody())
                if is_here and not entry.leases and entry.last_used == last_used:
                    await self._evict(entry)

        task = asyncio.create_task(unload())
        self._unloads.add(task)
        task.add_done_callback(self._unloads.discard)
