"""Figures of a comparison, against scipy and numpy, or by hand."""

import pytest
from scipy.stats import binomtest

from labeld.comparison.answers import PeerRanking, PeerScore
from labeld.comparison.statistics import (
    agreement,
    cost_of_a_billion,
    differences,
    flips,
    latency,
    order_agreement,
    share,
)


def ranking(**scores: float | None) -> PeerRanking:
    """A ranking of these scores, in the order given."""
    return tuple(PeerScore(label, score) for label, score in scores.items())


@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 50), (869, 872)])
def test_an_interval_is_wilsons(count: int, of: int) -> None:
    """To scipy's digits."""
    expected = binomtest(count, of).proportion_ci(0.95, method="wilson")
    found = share(count, of)

    assert (count, of, count / of) == (found.count, found.of, found.share)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_agreement_is_of_best_labels() -> None:
    """Whether or not the peer gives a score; an empty ranking, which thresholds may leave, equals another one."""
    pairs = [
        (ranking(a=0.9, b=0.1), ranking(a=0.6, b=0.4)),
        (ranking(a=0.9, b=0.1), ranking(a=None)),
        (ranking(a=0.9, b=0.1), ranking(b=0.6, a=0.4)),
        (ranking(a=0.9, b=0.1), ()),
        ((), ()),
    ]
    found = agreement(pairs)

    assert found is not None
    assert (3, 5) == (found.count, found.of)
    assert agreement([]) is None


def test_a_texts_difference_is_its_largest() -> None:
    """Over the labels that both sides have with a score."""
    pairs = [
        (ranking(a=0.75, b=0.25), ranking(a=0.5, b=0.5)),
        (ranking(a=0.75, b=0.25), ranking(a=0.75)),
        (ranking(a=0.75, b=0.25), ranking(b=None)),
    ]
    found = differences(pairs)

    assert found is not None
    assert (0.125, 0.25) == (found.mean, found.max)
    assert found.p99 == pytest.approx(0.2475)
    assert differences(pairs[2:]) is None


def test_a_flip_is_a_threshold_between_two_scores() -> None:
    """A score that equals it has reached it."""
    pairs = [
        (ranking(a=0.9), ranking(a=0.8)),
        (ranking(a=0.5), ranking(a=0.4999)),
        (ranking(a=0.4), ranking(a=0.5)),
        (ranking(a=0.4), ranking(b=0.9)),
    ]
    (found,) = flips(pairs, {"a": 0.5, "never": 0.5})

    assert ("a", 2, 3, 1) == (found.label, found.flips.count, found.flips.of, found.only_ours)


def test_a_model_with_one_label_is_compared_by_order() -> None:
    """Kendall's tau: of three pairs of texts one is turned round."""
    pairs = [(ranking(a=value), ranking(a=other)) for value, other in ((1.0, 10.0), (2.0, 30.0), (3.0, 20.0))]

    assert order_agreement(pairs) == pytest.approx(1 / 3)
    assert order_agreement(pairs[:1]) is None


def test_latency_and_cost_by_hand() -> None:
    """Milliseconds; and 2 cores at 0.05 for an hour's 3,600,000 texts."""
    found = latency([0.001, 0.002, 0.003])

    assert (2.0, 2.0, 3.0) == (pytest.approx(found.mean), pytest.approx(found.p50), pytest.approx(found.max))
    assert cost_of_a_billion(0.05, 2, 1000.0) == pytest.approx(0.1 * 1e9 / 3.6e6)
