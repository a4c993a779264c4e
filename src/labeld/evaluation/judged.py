"""The scores of a model beside the truth: plain arrays, of which everything else here is a function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""float64 [texts, labels]."""
Truth = NDArray[np.bool_]
"""bool [texts, labels]."""

DECISION = 0.5
"""The score from which a label is given to a text by a multi-label model without thresholds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Texts that a model has scored, and whose labels are known."""

    labels: tuple[str, ...]
    """Of the model, in the order of their ids."""
    multi_label: bool
    """True where a text has any number of labels, false where it has exactly one."""
    scores: Scores
    truth: Truth
    decisions: Truth
    """The labels that the model gives: its best one, or those that reach their thresholds."""

    @property
    def right(self) -> NDArray[np.bool_]:
        """Bool [texts]: whether a text gets exactly its labels."""
        return np.asarray((self.truth == self.decisions).all(1))

    def of(self, rows: NDArray[np.bool_]) -> "Judged":
        """These texts alone, by a mask of them."""
        return Judged(self.labels, self.multi_label, self.scores[rows], self.truth[rows], self.decisions[rows])


def judge(
    labels: Sequence[str], scores: Scores, truth: Truth, thresholds: float | Mapping[str, float] | None = None
) -> Judged:
    """The scores of a multi-label model with its decisions, at these thresholds or at DECISION.

    A label that thresholds by label do not name is always given, as the server does it.
    """
    if isinstance(thresholds, Mapping):
        least = np.array([thresholds.get(label, -np.inf) for label in labels])
    else:
        least = np.full(len(labels), DECISION if thresholds is None else thresholds)
    return Judged(tuple(labels), True, scores, truth, scores >= least)


def judge_best(labels: Sequence[str], scores: Scores, truth: Truth) -> Judged:
    """The scores of a model that gives each text one label, the best."""
    decisions = np.zeros_like(truth)
    decisions[np.arange(len(scores)), scores.argmax(1)] = True
    return Judged(tuple(labels), False, scores, truth, decisions)
