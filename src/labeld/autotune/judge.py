"""Labelled evaluation texts: a precision is then judged by its decisions, at the operator's thresholds."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeld.autotune.label_index import LabelIndex
from labeld.checkpoint.config import ModelConfig
from labeld.config.labels import renamed
from labeld.config.models_file import ModelEntry, Thresholds
from labeld.literals import FunctionName
from labeld.scoring import apply
from labeld.types import Logits

DECISION = 0.5
"""The score from which a multi-label model without thresholds gives a label."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The labels of evaluation texts, and what a model's scores decide."""

    truth: NDArray[np.bool_]
    """bool [texts, labels]."""
    labels: tuple[str, ...]
    """As answers call them."""
    function: FunctionName
    temperature: float
    thresholds: Thresholds | None

    def right(self, logits: Logits, rows: Sequence[int]) -> float:
        """The share of right decisions about the texts at these positions, by their logits, float32 [texts, labels].

        A decision is whether a label reaches its threshold, or 0.5 in a multi-label model without any; of any other
        model it is the best label. 0 where a logit is not finite.
        """
        truth = self.truth[list(rows)]
        scores = apply(logits, self.function, self.temperature).astype(np.float64)
        if not np.isfinite(scores).all():
            return 0.0
        if self.thresholds is None and self.function == "softmax":
            return float(truth[np.arange(len(scores)), scores.argmax(1)].mean())
        return float(((scores >= self._least())[:, self._decides()] == truth[:, self._decides()]).mean())

    def digest(self) -> str:
        """16 hex digits that change when a label, a threshold or the temperature does."""
        said = (self.labels, self.temperature, self._least().tolist(), self._decides().tolist())
        return hashlib.sha256(repr(said).encode() + np.packbits(self.truth).tobytes()).hexdigest()[:16]

    def _least(self) -> NDArray[np.float64]:
        if isinstance(self.thresholds, Mapping):
            return np.array([self.thresholds.get(label, DECISION) for label in self.labels])
        return np.full(len(self.labels), DECISION if self.thresholds is None else self.thresholds)

    def _decides(self) -> NDArray[np.bool_]:
        """The labels that are decided about, bool [labels]."""
        if isinstance(self.thresholds, Mapping) and self.function == "softmax":
            return np.array([label in self.thresholds for label in self.labels])
        return np.ones(len(self.labels), bool)


def judge_of(config: ModelConfig, entry: ModelEntry | None, given: Sequence[Sequence[str]]) -> Judge | str:
    """The judge of a model by the labels of the texts; where it cannot be judged by them, the reason, as a sentence.

    `entry` is the alias whose labels, thresholds and temperature count.
    """
    if len(config.labels) == 1 or config.default_function == "none":
        return "it gives texts a number, no label"
    labels = config.labels if entry is None else renamed(entry, config.labels)
    names, own = LabelIndex(labels), LabelIndex(config.labels)
    truth = np.zeros((len(given), len(labels)), bool)
    for row, its_labels in enumerate(given):
        if config.default_function == "softmax" and len(its_labels) != 1:
            return f"text {row + 1} has {len(its_labels)} labels, and this model gives each text one"
        for label in its_labels:
            index = names.find(label)
            index = own.find(label) if index is None else index
            if index is None:
                return f"it has no label {label[:60]!r}"
            truth[row, index] = True
    temperature, thresholds = (1.0, None) if entry is None else (entry.temperature, entry.thresholds)
    return Judge(truth, labels, config.default_function, temperature, thresholds)
