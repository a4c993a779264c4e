"""All metrics of judged texts as one vector, by scikit-learn; and of weighted texts, fast, for the bootstrap."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeld.evaluation.judged import Judged

Vector = NDArray[np.float64]
"""A value for each of `names`; not a number where it is not defined."""
Weights = NDArray[np.float64]
"""float64 [texts]: how often a resample has each text."""

BINS = 15
"""Bins of equal width of the calibration error, as in Guo et al. 2017."""
OVERALL = ("accuracy", "ece")
MACRO = ("precision", "recall", "f1", "auroc", "average_precision")
MICRO = ("precision", "recall", "f1")


def names(judged: Judged) -> list[tuple[str, str]]:
    """What each place of a vector is: the group (`overall`, `macro`, `micro`, or `label 3`), and the metric."""
    groups = [("overall", OVERALL), ("macro", MACRO), ("micro", MICRO if judged.multi_label else ())]
    groups += [(f"label {index}", MACRO) for index in range(len(judged.labels))]
    return [(group, metric) for group, metrics in groups for metric in metrics]


def counted(judged: Judged) -> NDArray[np.intp]:
    """Ids of the labels in the macro averages, as scikit-learn has it.

    All of a multi-label model; of others those that are some text's, or are given to one.
    """
    if judged.multi_label:
        return np.arange(len(judged.labels))
    return np.flatnonzero(judged.truth.any(0) | judged.decisions.any(0))


def vector(judged: Judged) -> Vector:
    """The metrics of the texts as they are, computed by scikit-learn."""
    from sklearn import metrics  # noqa: PLC0415  # an extra, and slow to import

    truth, decisions = judged.truth.astype(int), judged.decisions.astype(int)
    by_label = metrics.precision_recall_fscore_support(truth, decisions, average=None, zero_division=0.0)[:3]
    curves = np.full((2, len(judged.labels)), np.nan)
    for index in range(len(judged.labels)):
        if truth[:, index].any() and not truth[:, index].all():
            curves[0, index] = metrics.roc_auc_score(truth[:, index], judged.scores[:, index])
            curves[1, index] = metrics.average_precision_score(truth[:, index], judged.scores[:, index])
    labels = np.stack([*by_label, *curves])
    micro: tuple[float, ...] = ()
    if judged.multi_label:
        micro = metrics.precision_recall_fscore_support(truth, decisions, average="micro", zero_division=0.0)[:3]
    accuracy = metrics.accuracy_score(truth, decisions)
    confidence, right = confidences(judged)
    return np.array(
        [accuracy, calibration_error(confidence, right), *_macro(labels, counted(judged)), *micro, *labels.T.ravel()]
    )


def confidences(judged: Judged) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores that claim to be probabilities, and whether what they claim is so.

    The best score of each text, or every score of a multi-label model.
    """
    if judged.multi_label:
        return judged.scores.ravel(), judged.truth.ravel()
    return judged.scores.max(1), judged.right


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The expected calibration error: the distance of confidence and share of right ones, over BINS, by their size."""
    gaps = np.bincount(bins(confidence), weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, len(confidence)))


def bins(confidence: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bin of each: of the bins (0, 1/15], (1/15, 2/15] and so on."""
    return np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)


def _macro(labels: NDArray[np.float64], which: NDArray[np.intp]) -> list[float]:
    """The mean over these labels of each metric, float64 [metrics, labels]; of those labels where it is defined."""
    chosen = labels[:, which]
    defined = ~np.isnan(chosen)
    return [
        float(values[there].mean()) if there.any() else np.nan for values, there in zip(chosen, defined, strict=True)
    ]


class Curve(NamedTuple):
    """The texts by falling score of one label, for its AUROC and average precision.

    Texts of one score stand or fall together, and only scores that a text with the label has matter to either area.
    """

    order: NDArray[np.intp]
    """int64 [texts]."""
    positive: NDArray[np.intp]
    """int64 [texts with the label]: their places in that order."""
    first: NDArray[np.intp]
    """int64 [scores]: which of those is the first one with each of their scores."""
    before: NDArray[np.intp]
    """int64 [scores]: how many texts have a higher score."""
    until: NDArray[np.intp]
    """int64 [scores]: how many texts have it or a higher one."""


class Weighted:
    """The metrics of judged texts by their weights: `vector` without its libraries, for a thousand resamples."""

    def __init__(self, judged: Judged) -> None:
        both = judged.truth & judged.decisions
        self._sums = np.concatenate([both, judged.decisions, judged.truth], axis=1).astype(np.float64)
        self._right = judged.right.astype(np.float64)
        self._counted, self._multi_label = counted(judged), judged.multi_label
        self._occurs = judged.truth.any(0) | judged.decisions.any(0)
        confidence, right = confidences(judged)
        self._bins, self._gaps = bins(confidence), confidence - right
        self._each = judged.scores.shape[1] if judged.multi_label else 1
        self._curves = [_curve(*columns) for columns in zip(judged.scores.T, judged.truth.T, strict=True)]

    def vector(self, weights: Weights) -> Vector:
        """The metrics with these weights."""
        total = max(1.0, weights.sum())
        both, given, there = np.split(weights @ self._sums, 3)
        by_label = [*_precision_recall_f1(both, given, there)]
        curves = np.array([_areas(one, weights[one.order]) for one in self._curves]).T
        labels = np.stack([*by_label, *curves])
        labels[:, self._occurs & (there + given == 0)] = np.nan  # a resample without the label says nothing of it
        micro = (
            _precision_recall_f1(*(np.array([one.sum()]) for one in (both, given, there))) if self._multi_label else ()
        )
        gaps = np.bincount(self._bins, weights=np.repeat(weights, self._each) * self._gaps, minlength=BINS)
        error = np.abs(gaps).sum() / (total * self._each)
        accuracy = weights @ self._right / total
        return np.array(
            [accuracy, error, *_macro(labels, self._counted), *(float(one[0]) for one in micro), *labels.T.ravel()]
        )


def _precision_recall_f1(both: Vector, given: Vector, there: Vector) -> tuple[Vector, Vector, Vector]:
    """From the weights of texts that get a label and have it, that get it, and that have it; 0 where undefined."""
    precision = np.divide(both, given, out=np.zeros_like(both), where=given > 0)
    recall = np.divide(both, there, out=np.zeros_like(both), where=there > 0)
    f1 = np.divide(2 * both, given + there, out=np.zeros_like(both), where=given + there > 0)
    return precision, recall, f1


def _curve(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> Curve:
    order = np.argsort(-scores, kind="stable")
    rising, positive = -scores[order], np.flatnonzero(truth[order])
    of_positive, first = np.unique(rising[positive], return_index=True)
    return Curve(
        order, positive, first, np.searchsorted(rising, of_positive), np.searchsorted(rising, of_positive, "right")
    )


def _areas(curve: Curve, weights: Weights) -> tuple[float, float]:
    """The areas below the ROC curve and the precision-recall curve, the latter by steps, as scikit-learn has them."""
    total = weights.sum()
    has = weights[curve.positive].sum()
    if has in {0, total}:
        return np.nan, np.nan
    seen = np.append(0.0, np.cumsum(weights))
    before, until = seen[curve.before], seen[curve.until]
    hits = np.add.reduceat(weights[curve.positive], curve.first)
    hits_until = np.cumsum(hits)
    misses_before, misses_until = before - (hits_until - hits), until - hits_until
    auroc = 1 - hits @ (misses_before + misses_until) / 2 / (has * (total - has))
    precision = np.divide(hits_until, until, out=np.zeros_like(hits), where=until > 0)
    return float(auroc), float(hits @ precision / has)
