"""Runs the probe in float32 and in each faster precision, one engine in memory at a time, and comes to a verdict."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from labeld.autotune import accuracy
from labeld.config.precision import FASTER
from labeld.config.settings import Precisions
from labeld.engines.base import Engine, Logits
from labeld.errors import PrecisionError
from labeld.system import memory
from labeld.types import EncodedText, FunctionName, Precision

BATCH_TOKENS = 256
"""Tokens of a batch, at most; a longer text runs alone."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One precision on this machine."""

    precision: Precision
    tokens_per_second: float
    load_seconds: float
    memory_bytes: int
    """What the process uses more with this engine than before it."""
    loss: accuracy.AccuracyLoss


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """What a trial found: the precision to use, and why."""

    precision: Precision
    texts: int
    diversity: accuracy.Diversity
    measured: tuple[Measured, ...]
    """float32 first, then the faster ones that work here."""
    refused: dict[str, str]
    """Why the others do not, by precision."""

    def sentence(self) -> str:
        """What was chosen and what it costs, for the log."""
        frequent, spread = self.diversity.most_frequent, self.diversity.spread
        share = "" if frequent is None else f", {frequent:.0%} of them with the same answer"
        varied = (
            ""
            if self.diversity.enough
            else "; their answers are not varied enough to judge by (setting evaluation_texts)"
        )
        return "; ".join(
            [
                f"{self.precision} by a trial on {self.texts} texts (scores spread over {spread:.2f}{share}){varied}",
                *(
                    f"{one.precision} {one.tokens_per_second / self.measured[0].tokens_per_second:.1f} times as fast "
                    f"as float32, agreement {one.loss.agreement:.4f}, change of a score {one.loss.mean_change:.4f} in "
                    f"the mean and {one.loss.p99_change:.4f} at the 99th percentile"
                    for one in self.measured[1:]
                ),
                *self.refused.values(),
            ]
        )


@dataclass(frozen=True, slots=True)
class TrialTarget:
    """A model as a trial needs it."""

    open: Callable[[Precision], Engine]
    """Raises PrecisionError for what does not work here."""
    encode: Callable[[Engine], Sequence[EncodedText]]
    """The probe as this model reads it."""
    function: FunctionName
    """How its logits become scores."""


Step = Callable[[Precision, Engine, float], None]
"""Called after each batch with the share that is done; may raise, which ends the trial."""


def try_precisions(target: TrialTarget, tolerances: Precisions, step: Step) -> PrecisionChoice:
    """Runs the probe in every precision. Raises what opening in float32 raises, and what `step` raises."""
    reference, first = _measure(target, "float32", step, None)
    measured = [first]
    refused: dict[str, str] = {}
    for precision in FASTER:
        try:
            measured.append(_measure(target, precision, step, reference)[1])
        except PrecisionError as error:
            refused[precision] = error.reason
    diversity = accuracy.diversity(reference, target.function)
    speeds = {one.precision: one.tokens_per_second for one in measured}
    losses = {one.precision: one.loss for one in measured}
    chosen = accuracy.fastest(speeds, losses, diversity, tolerances)
    return PrecisionChoice(chosen, len(reference), diversity, tuple(measured), refused)


def _measure(
    target: TrialTarget, precision: Precision, step: Step, reference: Logits | None
) -> tuple[Logits, Measured]:
    memory.trim_heap()  # what the engine before has left
    used_before, began = memory.used(), time.perf_counter()
    engine = target.open(precision)
    load_seconds = time.perf_counter() - began
    texts = target.encode(engine)
    rows, speeds, done = [], [], 0
    for batch in _batches(texts):
        began = time.perf_counter()
        rows.append(engine.run(batch))
        tokens = sum(len(text.ids) for text in batch)
        speeds.append(tokens / (time.perf_counter() - began))
        done += len(batch)
        step(precision, engine, done / len(texts))
    used = memory.used()
    logits = np.concatenate(rows)
    loss = accuracy.loss(logits if reference is None else reference, logits, target.function)
    return logits, Measured(precision, median(speeds), load_seconds, used - used_before, loss)


def _batches(texts: Sequence[EncodedText]) -> Iterator[list[EncodedText]]:
    """The texts in their order, as many at once as the budget allows."""
    batch: list[EncodedText] = []
    room = BATCH_TOKENS
    for text in texts:
        if batch and len(text.ids) > room:
            yield batch
            batch, room = [], BATCH_TOKENS
        batch.append(text)
        room -= len(text.ids)
    yield batch
