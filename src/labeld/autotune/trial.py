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
    cost: accuracy.Cost


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial found: the precision to use, and why."""

    precision: Precision
    texts: int
    variety: accuracy.Variety
    measured: tuple[Measured, ...]
    """float32 first, then the faster ones that work here."""
    refused: dict[str, str]
    """Why the others do not, by precision."""

    def sentence(self) -> str:
        """What was chosen and what it costs, for the log."""
        frequent, spread = self.variety.most_frequent, self.variety.spread
        share = "" if frequent is None else f", {frequent:.0%} of them with the same answer"
        varied = "" if self.variety.enough else "; their answers are not varied enough to judge by (setting probe)"
        return "; ".join(
            [
                f"{self.precision} by a trial on {self.texts} texts (scores spread over {spread:.2f}{share}){varied}",
                *(
                    f"{one.precision} {one.tokens_per_second / self.measured[0].tokens_per_second:.1f} times as fast "
                    f"as float32, agreement {one.cost.agreement:.4f}, change of a score {one.cost.mean_change:.4f} in "
                    f"the mean and {one.cost.p99_change:.4f} at the 99th percentile"
                    for one in self.measured[1:]
                ),
                *self.refused.values(),
            ]
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as a trial needs it."""

    open: Callable[[Precision], Engine]
    """Raises PrecisionError for what does not work here."""
    encode: Callable[[Engine], Sequence[EncodedText]]
    """The probe as this model reads it."""
    function: FunctionName
    """How its logits become scores."""


Step = Callable[[Precision, Engine, float], None]
"""Called after each batch with the share that is done; may raise, which ends the trial."""


def try_precisions(subject: Subject, tolerances: Precisions, step: Step) -> Verdict:
    """Runs the probe in every precision. Raises what opening in float32 raises, and what `step` raises."""
    reference, first = _measure(subject, "float32", step, None)
    measured = [first]
    refused: dict[str, str] = {}
    for precision in FASTER:
        try:
            measured.append(_measure(subject, precision, step, reference)[1])
        except PrecisionError as error:
            refused[precision] = error.reason
    variety = accuracy.variety(reference, subject.function)
    speeds = {one.precision: one.tokens_per_second for one in measured}
    costs = {one.precision: one.cost for one in measured}
    chosen = accuracy.fastest(speeds, costs, variety, tolerances)
    return Verdict(chosen, len(reference), variety, tuple(measured), refused)


def _measure(subject: Subject, precision: Precision, step: Step, reference: Logits | None) -> tuple[Logits, Measured]:
    memory.give_back()  # what the engine before has left
    used_before, began = memory.used(), time.perf_counter()
    engine = subject.open(precision)
    load_seconds = time.perf_counter() - began
    texts = subject.encode(engine)
    rows, speeds, done = [], [], 0
    for batch in _batches(texts):
        began = time.perf_counter()
        rows.append(engine.run(batch, 0))
        tokens = sum(len(text.ids) for text in batch)
        speeds.append(tokens / (time.perf_counter() - began))
        done += len(batch)
        step(precision, engine, done / len(texts))
    used = memory.used()
    logits = np.concatenate(rows)
    cost = accuracy.cost(logits if reference is None else reference, logits, subject.function)
    return logits, Measured(precision, median(speeds), load_seconds, used - used_before, cost)


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
