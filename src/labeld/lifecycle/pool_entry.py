"""The parts of the pool of models: a loaded model, a load in progress, and the interface of the loader."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from labeld.repository.resolver import ResolvedModel

M = TypeVar("M")


class Loader(Protocol[M]):
    """Loads and closes models. Every failure it raises is a LabeldError."""

    async def prepare(self, model: ResolvedModel) -> int:
        """Does the work that may run beside other loads (a download); returns the peak bytes that loading will need."""
        ...

    async def load(self, model_id: str) -> M:
        """The prepared model; only ever one at a time."""
        ...

    def size(self, model: M) -> int:
        """Bytes that the model takes at least."""
        ...

    async def close(self, model: M) -> None:
        """Frees a model, of which the caller gives up the last reference. Raises nothing."""
        ...

    async def trim_memory(self) -> None:
        """Returns unused memory of this process to the system. Raises nothing."""
        ...


@dataclass(slots=True, eq=False)
class PoolEntry(Generic[M]):
    """A loaded model, and the number of its users."""

    model_id: str
    model: M
    bytes: int
    """The memory it takes: measured while it was loaded, and no less than the loader knows."""
    last_used: float
    """On the event loop's clock."""
    beside: bool = False
    """True when it was loaded beside the models that serve: it is evicted before them."""
    leases: int = 0
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        """Cancels the timer that unloads an idle model."""
        if self.timer:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True, eq=False)
class Load(Generic[M]):
    """A requested load. Each waiter owns its future, whose result is a lease that is already counted."""

    release: Callable[[PoolEntry[M]], None]
    """Ends a lease that comes when its waiter has left."""
    beside: bool = False
    """True where nothing may be evicted for it: no request waits for it."""
    waiters: dict[asyncio.Future[PoolEntry[M]], None] = field(default_factory=dict)
    began: float | None = None
    """Time at which its turn came, on the event loop's clock; None while it is prepared or waits for its turn."""
    task: "asyncio.Task[None] | None" = None

    async def wait(self, seconds: float | None = None) -> PoolEntry[M]:
        """The model with a lease counted for the caller; raises TimeoutError, or what the load raised."""
        waiter: asyncio.Future[PoolEntry[M]] = asyncio.get_running_loop().create_future()
        self.waiters[waiter] = None
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except (asyncio.CancelledError, TimeoutError):
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                self.release(waiter.result())
            raise
        finally:
            del self.waiters[waiter]

    def reject(self, error: Exception) -> None:
        """Raises the error in all who wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


@dataclass(slots=True)
class Counts:
    """Counts since the start."""

    loads: int = 0
    evictions: int = 0
    failures: int = 0
