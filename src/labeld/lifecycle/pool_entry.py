"""What the pool of models is made of: a loaded model, a load, and the loader that the pool asks for both."""

import asyncio
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from labeld.repository.resolver import ResolvedModel

M = TypeVar("M")


class Loader(Protocol[M]):
    """Loads and closes models. Every failure it raises is a LabeldError."""

    async def prepare(self, model: ResolvedModel) -> int:
        """Does what can be done beside other loads (a download); the bytes that loading will need at its peak."""
        ...

    async def load(self, model_id: str) -> M:
        """The prepared model; only ever one at a time."""
        ...

    def size(self, model: M) -> int:
        """Bytes that the model takes at least."""
        ...

    async def close(self, model: M) -> None:
        """Ends a model that nobody uses, whose last reference this is, and gives its memory back. Raises nothing."""
        ...

    async def give_back(self) -> None:
        """Gives back memory that this process holds and does not use. Raises nothing."""
        ...


@dataclass(slots=True, eq=False)
class PoolEntry(Generic[M]):
    """A loaded model, and who uses it."""

    model_id: str
    model: M
    bytes: int
    """The memory it takes: measured while it was loaded, and no less than the loader knows."""
    last_used: float
    """On the event loop's clock."""
    leases: int = 0
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        """It will not be unloaded for idleness."""
        if self.timer:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True, eq=False)
class Load(Generic[M]):
    """A load that was asked for. Each waiter owns its future, which becomes a lease that is counted already."""

    waiters: dict[asyncio.Future[PoolEntry[M]], None] = field(default_factory=dict)
    began: float | None = None
    """When its turn came, on the event loop's clock; None while it is prepared or waits for its turn."""
    task: "asyncio.Task[None] | None" = None

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
