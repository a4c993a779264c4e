"""The state of a stream: what it runs now, guarded by the dispatcher's lock."""

from dataclasses import dataclass, field

from labeld.scheduler.queue import ModelQueue, QueueEntry


@dataclass(slots=True, eq=False)
class InFlightBatch:
    """A batch that was handed to an engine."""

    queue: ModelQueue
    """The queue of that engine, which it holds."""
    entries: list[QueueEntry]
    began: float
    """Time at which the engine began to run it, on the monotonic clock."""


@dataclass(slots=True, eq=False)
class Stream:
    """A share of the CPU threads, which runs one batch with all of them, or several with one thread each."""

    in_flight: list[InFlightBatch] = field(default_factory=list)
    """Oldest first: up to `max_concurrent_batches` of their engines, and one more if they are of one pipelined engine.
    Batches of several engines are in it only where each engine runs more than one at a time."""
    ended: float = 0.0
    """Time at which its last batch ended, on the monotonic clock."""
