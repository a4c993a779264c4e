"""Runs the evaluation texts in float32 and each faster precision, one engine in memory at a time, and chooses one."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from labeld.autotune import accuracy
from labeld.config.precision import FASTER
from labeld.config.settings import Precisions
from labeld.engines.base import Engine
from labeld.errors import PrecisionError
from labeld.literals import FunctionName, Precision
from labeld.system import memory
from labeld.types import EncodedText, Logits

BATCH_TOKENS = 256
"""Tokens of a batch, at most; a longer text is a batch by itself."""
ROUNDING = 1e-9
"""By which shares may differ that are equal."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One precision as measured on this machine."""

    precision: Precision
    tokens_per_second: float
    load_seconds: float
    memory_bytes: int
    """Bytes of memory that the engine adds to the process."""
    loss: accuracy.AccuracyLoss
    right: float | None = None
    """Share of right decisions on labelled texts; None where they have no labels."""


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """The result of a trial: the precision to use, and the measurements that it rests on."""

    precision: Precision
    texts: int
    """Number of evaluation texts."""
    diversity: accuracy.Diversity
    measured: tuple[Measured, ...]
    """float32 first, then the faster precisions that work on this machine."""
    refused: dict[str, str]
    """By precision, the reason why it does not work on this machine."""

    def sentence(self) -> str:
        """The choice with its speed and accuracy loss, for the log."""
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
                    f"the mean and {one.loss.p99_change:.4f} at the 99th percentile{self._right(one)}"
                    for one in self.measured[1:]
                ),
                *self.refused.values(),
            ]
        )

    def _right(self, one: Measured) -> str:
        reference = self.measured[0].right
        if one.right is None or reference is None:
            return ""
        return f", {one.right:.4f} of the decisions right by the labels of the texts and {reference:.4f} in float32"


@dataclass(frozen=True, slots=True)
class TrialTarget:
    """A model under trial."""

    open: Callable[[Precision], Engine]
    """Loads it in a precision; raises PrecisionError where that does not work on this machine."""
    encode: Callable[[Engine], Sequence[EncodedText]]
    """The evaluation texts as token ids of this model."""
    function: FunctionName
    """The function from its logits to scores."""
    right: Callable[[Logits], float] | None = None
    """The share of right decisions of these logits; None where the texts have no labels."""
    found: Callable[[Precision, Logits], object] = lambda *_: None
    """Called with the logits of each precision, float32 [texts, labels]."""


Step = Callable[[Precision, Engine, float], None]
"""Called after each batch with the share of the texts that is done, 0 to 1; an exception ends the trial."""


def try_precisions(target: TrialTarget, tolerances: Precisions, step: Step) -> PrecisionChoice:
    """Runs the evaluation texts in every precision. Raises what `open` raises in float32, and what `step` raises."""
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
    allowed = [one.precision for one in measured[1:] if is_allowed(one, first, tolerances)]
    chosen = accuracy.fastest(speeds, allowed, diversity)
    return PrecisionChoice(chosen, len(reference), diversity, tuple(measured), refused)


def is_allowed(one: Measured, first: Measured, tolerances: Precisions) -> bool:
    """Whether a precision may take the place of float32: by the labels of the texts, or by float32's own answers."""
    if one.right is None or first.right is None:
        return one.loss.within(tolerances)
    return one.right >= first.right - (1 - tolerances.precision_agreement) - ROUNDING


def _measure(
    target: TrialTarget, precision: Precision, step: Step, reference: Logits | None
) -> tuple[Logits, Measured]:
    memory.trim_heap()  # memory that the previous engine freed
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
    target.found(precision, logits)
    right = None if target.right is None else target.right(logits)
    return logits, Measured(precision, median(speeds), load_seconds, used - used_before, loss, right)


def _batches(texts: Sequence[EncodedText]) -> Iterator[list[EncodedText]]:
    """Batches of the texts, in their order, each of at most BATCH_TOKENS tokens or one text."""
    batch: list[EncodedText] = []
    room = BATCH_TOKENS
    for text in texts:
        if batch and len(text.ids) > room:
            yield batch
            batch, room = [], BATCH_TOKENS
        batch.append(text)
        room -= len(text.ids)
    yield batch
