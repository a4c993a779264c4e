"""The interface of an engine: token ids in, logits out.

An engine is synchronous and knows no queue. The scheduler calls it from the threads of its streams.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labeld.literals import Precision
from labeld.types import EncodedText, Logits


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options with which an engine is opened."""

    threads: int = 1
    """CPU threads, shared by the streams."""
    streams: int = 1
    """Parallel streams, each with an equal share of the threads."""
    precision: Precision = "float32"
    spill_folder: Path | None = None
    """Folder for copies of weights, widened from 16 bits or rounded to 8; without it they take memory once more."""
    may_change: bool = False
    """Whether others may change the files in place while they are used; `spill_folder` then has copies of them."""

    @property
    def copies(self) -> Path | None:
        """The folder for copies of files that may change, None where none are needed."""
        return self.spill_folder if self.may_change else None


class Engine(Protocol):
    """One loaded model, which runs batches on `threads` CPU threads that `streams` streams share.

    Each stream may run one batch with `run`, or up to `max_concurrent_batches` with `run_concurrently`, from as many
    threads; where `pipelined`, one more thread may wait inside either.
    """

    max_tokens: int
    """Tokens of the longest text that the model takes; `sys.maxsize` where it sets no limit."""
    precision: Precision
    """Number format of the computation."""
    nbytes: int
    """Lower bound of the memory that the weights take, in bytes, without those that stay in their file."""

    max_concurrent_batches: int
    """Batches that one stream runs at the same time, at most."""
    pipelined: bool
    """True when a stream may hand over one batch more than that, which begins the moment another one ends."""
    prefers_large_batches: bool
    """True when batches that run concurrently take less time per token the more tokens they have (decision 15)."""

    def run(self, texts: Sequence[EncodedText]) -> Logits:
        """Logits of the texts, in their order, computed with all threads of the stream. The caller owns the array.

        Raises the exceptions of the engine's library.
        """
        ...

    def run_concurrently(self, texts: Sequence[EncodedText]) -> Logits:
        """Logits as from `run`, computed with one share of the stream's threads while other batches run on the rest.

        Gives more batches per second than `run` while several are in flight, and a later answer to each. It is `run`
        where `max_concurrent_batches` is 1.
        """
        ...

    def close(self) -> None:
        """Frees the memory. No call may be in progress, and none may follow."""
        ...
