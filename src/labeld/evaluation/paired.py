"""Paired tests of two models on the texts that both have read, which tell a difference from chance."""

from dataclasses import dataclass

import numpy as np

from labeld.evaluation.bootstrap import Samples, intervals
from labeld.evaluation.judged import Judged


@dataclass(frozen=True, slots=True)
class Counts:
    """Texts by which of two models is right, and the exact McNemar test of them."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float
    """Probability of as uneven a split of those that only one gets right, if both models were as good."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of the second model less that of the first, with its interval, and a two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float


def mcnemar(first: Judged, second: Judged) -> Counts:
    """The exact McNemar test of two models on the same texts, in the same order."""
    from scipy.stats import binomtest  # noqa: PLC0415  # comes with scikit-learn, an extra

    a, b = first.right, second.right
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    uneven = only_first + only_second
    p_value = float(binomtest(only_first, uneven, 0.5).pvalue) if uneven else 1.0
    return Counts(int((a & b).sum()), only_first, only_second, int((~a & ~b).sum()), p_value)


def difference(values: tuple[float, float], samples: tuple[Samples, Samples]) -> Difference:
    """The difference of one metric, by its values on resamples that both models share, float64 [resamples] each."""
    differences = samples[1] - samples[0]
    (low,), (high,) = intervals(differences[:, None])
    known = differences[~np.isnan(differences)]
    tails = (int((known <= 0).sum()), int((known >= 0).sum()))
    p_value = min(1.0, 2 * (min(tails) + 1) / (len(known) + 1))
    return Difference(values[1] - values[0], float(low), float(high), p_value)
