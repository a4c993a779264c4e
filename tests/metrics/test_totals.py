"""Totals: quantiles within 5 %, and outcomes counted apart."""

import random
from collections import Counter

import numpy as np
import pytest

from labeld.metrics.totals import BUCKETS, Totals, bucket, quantile


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99])
def test_quantiles_are_within_five_percent(share: float) -> None:
    """Of times between twenty microseconds and twenty seconds."""
    generator = random.Random(1)
    times = [2e-5 * 1e6 ** generator.random() for _ in range(5000)]
    expected = float(np.quantile(times, share, method="inverted_cdf"))

    assert quantile(Counter(bucket(one) for one in times), share) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-9, 1e-5, 600.0, 1e9])
def test_any_time_has_a_bucket(seconds: float) -> None:
    """Also one of a clock that went back."""
    assert 0 <= bucket(seconds) < BUCKETS


def test_nothing_counted_has_no_quantile() -> None:
    """None, and no number that looks like a time."""
    assert quantile({}, 0.5) is None


def test_outcomes_are_counted_apart() -> None:
    """Only an answer has texts and a time; a client's own mistake is a request and nothing else."""
    totals = Totals()
    for status in (200, 400, 401, 429, 500, 502, 503, 504):
        totals.classified(3, status, 0.01)

    assert (8, 3, 2, 3) == (totals.requests, totals.texts, totals.refused, totals.failed)
    assert 1 == sum(totals.seconds)
