"""The state of a stream: what it runs now, guarded by the dispatcher's lock."""

from dataclasses import dataclass, field

from labeld.scheduler.queue import ModelQueue, QueueEntry


@dataclass(slots=True, eq=False)
class InFlightBatch:
    """A batch that was handed to an engine."""

    entries: list[QueueEntry]
    began: float
    """Time at which the engine began to run it, on the monotonic clock."""


@dataclass(slots=True, eq=False)
class Stream:
    """A share of the CPU threads, which runs one engine at a time."""

    in_flight: list[InFlightBatch] = field(default_factory=list)
    """Batches of one engine, oldest first: up to its `max_concurrent_batches`, and one more if it is pipelined."""
    queue: ModelQueue | None = None
    """The queue of that engine; None while nothing is in flight."""
    ended: float = 0.0
    """Time at which its last batch ended, on the monotonic clock."""
