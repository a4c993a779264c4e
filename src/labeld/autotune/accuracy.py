"""The accuracy loss of a precision on evaluation texts, and the diversity of the answers. Pure functions of logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeld.config.settings import Precisions
from labeld.literals import FunctionName, Precision
from labeld.scoring import FUNCTIONS
from labeld.types import Logits

Scores = NDArray[np.float64]
"""float64 [texts, labels]."""

MOST_FREQUENT = 0.9
"""Share of the texts that may have the same answer; beyond it agreement means little."""

MIN_SPREAD = 0.1
"""Distance between the 10th and the 90th percentile that some label's score must have, at least."""


@dataclass(frozen=True, slots=True)
class AccuracyLoss:
    """Distance of a precision's answers from those in float32."""

    agreement: float
    """Share of texts with an equal best label. For a multi-label model, the share whose score stays on the same side of
    0.5, for the label where it is lowest. For a model with one label, Kendall's tau of the order of the texts."""
    mean_change: float
    """Mean over the texts of the largest change of a label's probability; where scores are no probabilities, in
    standard deviations of the label's scores."""
    p99_change: float
    """99th percentile of these largest changes."""

    def within(self, tolerances: Precisions) -> bool:
        """True when no number exceeds its tolerance."""
        return (
            self.agreement >= tolerances.precision_agreement
            and self.mean_change <= tolerances.precision_mean_change
            and self.p99_change <= tolerances.precision_p99_change
        )


@dataclass(frozen=True, slots=True)
class Diversity:
    """Diversity of the answers in float32: on texts that a model was not trained for, agreement may mean nothing."""

    most_frequent: float | None
    """Share of the texts with the most frequent answer; None where the answer is one number."""
    spread: float
    """Distance between the 10th and the 90th percentile of a label's score, for the label where it is largest."""

    @property
    def enough(self) -> bool:
        """True when the answers are diverse enough for agreement to mean something."""
        return (self.most_frequent is None or self.most_frequent <= MOST_FREQUENT) and self.spread >= MIN_SPREAD


def loss(reference: Logits, other: Logits, function: FunctionName) -> AccuracyLoss:
    """The loss of the logits `other` against those in float32, both [texts, labels]; total where any is not finite."""
    if not (np.isfinite(reference).all() and np.isfinite(other).all()):
        return AccuracyLoss(0.0, 1.0, 1.0)
    before, after = _scores(reference, function), _scores(other, function)
    changes = np.abs(after - before)
    if function == "none":
        changes = changes / np.maximum(before.std(0), np.finfo(np.float32).tiny)
    largest = changes.max(1)
    return AccuracyLoss(_agreement(before, after, function), float(largest.mean()), float(np.percentile(largest, 99)))


def diversity(reference: Logits, function: FunctionName) -> Diversity:
    """The diversity of the answers with these logits, float32 [texts, labels]; none where any is not finite."""
    if not np.isfinite(reference).all():
        return Diversity(1.0, 0.0)
    scores = _scores(reference, function)
    low, high = np.percentile(scores, (10, 90), axis=0)
    if _is_order(scores, function):
        return Diversity(None, float((high - low).max()))
    answers = scores.argmax(1)[:, None] if function == "softmax" else scores > 0.5
    _, counts = np.unique(answers, axis=0, return_counts=True)
    return Diversity(float(counts.max() / len(scores)), float((high - low).max()))


def fastest(speeds: Mapping[Precision, float], allowed: Sequence[Precision], answers: Diversity) -> Precision:
    """The fastest of float32 and those allowed (speeds in tokens/s); float32 where diversity is too low."""
    choices: list[Precision] = ["float32", *(allowed if answers.enough else ())]
    return max(choices, key=lambda precision: speeds[precision])


def _scores(logits: Logits, function: FunctionName) -> Scores:
    return np.stack([FUNCTIONS[function](row) for row in logits]).astype(np.float64)


def _is_order(scores: Scores, function: FunctionName) -> bool:
    """True when a model scores texts by one number, so that its answer is their order, not a label for each."""
    return function == "none" or scores.shape[1] == 1


def _agreement(before: Scores, after: Scores, function: FunctionName) -> float:
    if _is_order(before, function):
        return min(kendall_tau(*columns) for columns in zip(before.T, after.T, strict=True))
    if function == "softmax":
        return float((before.argmax(1) == after.argmax(1)).mean())
    return float(((before > 0.5) == (after > 0.5)).mean(0).min())


def kendall_tau(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Kendall's tau-b of two rankings, [texts] each; 0 when one of them has no order."""
    pairs = np.triu_indices(len(before), 1)
    order_before, order_after = (np.sign(values[pairs[0]] - values[pairs[1]]) for values in (before, after))
    ordered = np.sqrt(np.abs(order_before).sum() * np.abs(order_after).sum())
    return float((order_before * order_after).sum() / ordered) if ordered else 0.0
