"""The queue of one model, and its measured speed."""

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass, field

from labeld.engines.base import Engine
from labeld.errors import DeadlineExceededError, EngineFailedError, LabeldError
from labeld.types import EncodedText, Logits

FIRST_GUESS = 2000.0
"""Tokens per second assumed of a model before its first batch."""

RATE_DECAY = 0.95
"""Weight of the past in the speed estimate at each batch: about the last twenty batches count."""


class BackgroundDroppedError(LabeldError):
    """A text of a background queue was dropped for others; nobody's request has failed."""


@dataclass(slots=True, eq=False)
class QueueEntry:
    """One waiting text. It owns the future that its caller awaits."""

    text: EncodedText
    deadline: float
    """Time after which it is not started any more, on the monotonic clock; later where its model proves slower."""
    call_tokens: int
    """Tokens of all texts that came with it."""
    future: asyncio.Future[Logits]
    """Resolved on the event loop."""
    enqueued_at: float
    """Time of its arrival, on the monotonic clock."""
    call: object | None = None
    """The call whose texts share a batch with no others; None for a text that any may share one with."""
    queue_seconds: float = 0.0
    """Seconds for which it waited for its batch, once that has run."""
    batch_seconds: float = 0.0
    """Seconds that its batch took."""

    @property
    def tokens(self) -> int:
        """Tokens of the text."""
        return len(self.text.ids)

    @property
    def abandoned(self) -> bool:
        """True when the caller has left."""
        return self.future.cancelled()


@dataclass(slots=True, eq=False)
class ModelQueue:
    """The texts that wait for one engine, and its measured speed. Guarded by the dispatcher's lock."""

    engine: Engine
    background: bool = False
    """True for texts that run one at a time while no others wait, and are dropped where those leave no time."""
    waiting: deque[QueueEntry] = field(default_factory=deque)
    waiting_tokens: int = 0
    running: int = 0
    """Number of batches in flight."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set on the event loop whenever a batch ends."""
    service_tokens: float = 0.0
    """Tokens served to it so far, on a scale that all models share."""
    texts: int = 0
    """Texts of all batches that were run."""
    tokens: int = 0
    """Tokens of these batches."""
    seconds: float = 0.0
    """Time that these batches took."""
    sharing: int = 1
    """The most models that have shared the streams since it last began to wait."""
    recent_tokens: float = FIRST_GUESS
    """Tokens of recent batches, decaying."""
    recent_seconds: float = 1.0
    """Seconds of recent batches, decaying."""

    @property
    def rate(self) -> float:
        """Tokens per second of the recent batches."""
        return self.recent_tokens / self.recent_seconds

    def deadline(self, enqueued_at: float, tokens: int, patience: float) -> float:
        """Until when a text waits that came with so many tokens: twice what these take beside the other models."""
        return enqueued_at + patience + 2 * self.sharing * tokens / self.rate

    def clear(self) -> list[QueueEntry]:
        """Takes out all that wait."""
        entries = [*self.waiting]
        self.waiting.clear()
        self.waiting_tokens = 0
        return entries

    def measure(self, tokens: int, seconds: float) -> None:
        """Adds one batch to the speed estimate."""
        self.seconds += seconds
        self.recent_tokens = RATE_DECAY * self.recent_tokens + tokens
        self.recent_seconds = RATE_DECAY * self.recent_seconds + seconds


def deliver(queue: ModelQueue, entries: list[QueueEntry], rows: Logits | None) -> None:
    """Gives each entry its row of the logits, or all of them EngineFailedError; on the event loop."""
    queue.ended.set()
    for index, entry in enumerate(entries):
        if entry.future.done():
            continue
        if rows is None:
            entry.future.set_exception(EngineFailedError())
        else:
            entry.future.set_result(rows[index])


def expire(entries: list[QueueEntry], seconds: float) -> None:
    """Gives each entry DeadlineExceededError; on the event loop."""
    for entry in entries:
        if not entry.future.done():
            entry.future.set_exception(
                DeadlineExceededError(
                    "This text waited longer than its deadline (setting queue_timeout).", seconds, "queue_timeout"
                )
            )


def give_up(entries: list[QueueEntry], error: LabeldError) -> None:
    """Gives each entry this error; on the event loop."""
    for entry in entries:
        if not entry.future.done():
            entry.future.set_exception(error)


def retry_after(seconds: float) -> float:
    """Whole seconds after which a refused caller may retry, 1 to 30, with jitter so that callers spread out."""
    return float(min(30, max(1, math.ceil(seconds * random.uniform(1.0, 1.5)))))  # noqa: S311  # not for secrets
