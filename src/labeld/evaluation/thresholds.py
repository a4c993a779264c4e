"""A threshold for each label: the least that reaches a wanted precision, or that of the best F1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeld.evaluation.judged import Judged


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold of one label, and its figures on the texts that it was chosen by."""

    label: str
    value: float
    reached: bool
    """False where no threshold has the wanted precision: then it is 1, which hardly any score reaches."""
    precision: float
    recall: float
    f1: float
    kept: int
    """Texts whose score reaches it."""


def choose(judged: Judged, precision: float | None) -> list[Threshold]:
    """A threshold for each label that some text has, by the wanted precision, or with None by F1."""
    return [
        _choose(label, judged.scores[:, index], judged.truth[:, index], precision)
        for index, label in enumerate(judged.labels)
        if judged.truth[:, index].any()
    ]


def _choose(label: str, scores: NDArray[np.float64], truth: NDArray[np.bool_], wanted: float | None) -> Threshold:
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    hits, kept = np.cumsum(truth[order])[last], last + 1
    precision, recall = hits / kept, hits / truth.sum()
    f1 = 2 * hits / (kept + truth.sum())
    if wanted is None:
        at = int(f1.argmax())
    else:
        good = np.flatnonzero((precision >= wanted) & (hits > 0))
        if not len(good):
            return Threshold(label, 1.0, False, 0.0, 0.0, 0.0, int((scores >= 1.0).sum()))
        at = int(good[-1])
    below = float(falling[last[at] + 1]) if last[at] + 1 < len(falling) else 0.0
    value = between(below, float(falling[last[at]]))
    figures = float(precision[at]), float(recall[at]), float(f1[at])
    return Threshold(label, value, True, *figures, int(kept[at]))


def between(below: float, above: float) -> float:
    """The number with the fewest digits between them, near their middle; `above` where there is none."""
    middle = (below + above) / 2
    for digits in range(2, 18):
        value = round(middle, digits)
        if below < value < above:
            return value
    return above
