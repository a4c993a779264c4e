"""What an engine is: token ids in, logits out. Synchronous; runs on lanes."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labeld.types import EncodedText, Precision

Logits = NDArray[np.float32]
"""float32 [texts, labels]."""


class Engine(Protocol):
    """Runs batches of one model. `run` may be called by several lanes at once, each with its own number."""

    max_tokens: int
    """Tokens of the longest text it takes; `sys.maxsize` where it has no limit of its own."""
    precision: Precision
    """How it computes."""
    nbytes: int
    """Bytes that its weights take at least, without those that stay in their file."""

    max_concurrent_batches: int
    """Batches that one lane runs at the same time, at most, by as many calls of `run`."""
    pipelined: bool
    """Whether a lane may call `run` once more than that: the batch then begins the moment another one ends."""

    def run(self, texts: Sequence[EncodedText], stream: int, *, exclusive: bool = True) -> Logits:
        """Logits of the texts, in their order; the caller owns the array. Raises whatever its library raises.

        `alone` says that the lane has nothing else to do: all its threads may then work on this batch.
        """
        ...

    def close(self) -> None:
        """Frees its memory. Nothing runs then, nor is anything run later."""
        ...
