"""Intervals by the bootstrap: texts are drawn anew, with replacement, and the metrics computed of each draw."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from labeld.evaluation.judged import Judged
from labeld.evaluation.statistics import Weighted

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95
"""Share of the resamples that an interval holds."""

Samples = NDArray[np.float64]
"""float64 [resamples, metrics]."""


def resample(
    models: Sequence[Judged], resamples: int, seed: int, step: Callable[[], object] = lambda: None
) -> list[Samples]:
    """The metrics of each model on resamples of the texts, which all models share; `step` is called after each."""
    texts = len(models[0].scores)
    rng = np.random.default_rng(seed)
    weighted = [Weighted(one) for one in models]
    found = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(texts, size=texts), minlength=texts).astype(np.float64)
        found.append([one.vector(weights) for one in weighted])
        step()
    return [np.array(each) for each in zip(*found, strict=True)]


def intervals(samples: Samples) -> NDArray[np.float64]:
    """The lower and the upper end of each metric's interval, float64 [2, metrics], by percentiles.

    Of the resamples where the metric is defined; not a number where it is in none.
    """
    ends = np.full((2, samples.shape[1]), np.nan)
    tail = 100 * (1 - LEVEL) / 2
    for index, values in enumerate(samples.T):
        if len(defined := values[~np.isnan(values)]):
            ends[:, index] = np.percentile(defined, (tail, 100 - tail))
    return ends
