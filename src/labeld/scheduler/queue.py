"""The texts that wait for one model, and how fast it has been: what `dispatch` keeps of each."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labeld.engines.base import Engine
from labeld.types import EncodedText

FIRST_GUESS = 2000.0
"""Tokens per second assumed of a model before its first batch."""

RATE_DECAY = 0.95
"""How much of the past the speed estimate keeps at each batch: about the last twenty batches count."""

Row = NDArray[np.float32]
"""Logits of one text, float32 [labels]."""


@dataclass(slots=True, eq=False)
class QueueEntry:
    """One text that waits, with the future its caller awaits."""

    text: EncodedText
    deadline: float
    future: asyncio.Future[Row]
    enqueued_at: float
    """When it came, on the monotonic clock."""

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
    """The texts that wait for one engine, and how fast it has been. Guarded by the dispatcher's lock."""

    engine: Engine
    waiting: deque[QueueEntry] = field(default_factory=deque)
    waiting_tokens: int = 0
    running: int = 0
    """Batches that the engine has now."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set on the event loop whenever a batch has ended."""
    service_tokens: float = 0.0
    texts: int = 0
    tokens: int = 0
    """Of the batches that were run, as are the texts."""
    seconds: float = 0.0
    """That these batches took."""
    recent_tokens: float = FIRST_GUESS
    recent_seconds: float = 1.0

    @property
    def rate(self) -> float:
        """Tokens per second of the recent batches."""
        return self.recent_tokens / self.recent_seconds

    def measure(self, tokens: int, seconds: float) -> None:
        """Adds one batch to the speed estimate."""
        self.seconds += seconds
        self.recent_tokens = RATE_DECAY * self.recent_tokens + tokens
        self.recent_seconds = RATE_DECAY * self.recent_seconds + seconds
