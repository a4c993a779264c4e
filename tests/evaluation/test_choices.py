"""Thresholds, temperatures and paired tests, against what a search of everything or a formula gives."""

import math

import numpy as np
import pytest

from labeld.errors import InvalidRequestError
from labeld.evaluation.bootstrap import resample
from labeld.evaluation.calibration import calibrate
from labeld.evaluation.judged import Judged, judge, judge_best
from labeld.evaluation.paired import difference, mcnemar
from labeld.evaluation.thresholds import between, choose

RNG = np.random.default_rng(8)
SCORES = np.round(RNG.random((200, 2)), 2)
TRUTH = RNG.random((200, 2)) < SCORES


def _figures(judged: Judged, label: int, threshold: float) -> tuple[float, float, float]:
    """Precision, recall and F1 of a label whose texts reach the threshold."""
    given, there = judged.scores[:, label] >= threshold, judged.truth[:, label]
    hits = (given & there).sum()
    return hits / max(1, given.sum()), hits / there.sum(), 2 * hits / (given.sum() + there.sum())


@pytest.mark.parametrize("wanted", [None, 0.8, 0.9])
def test_a_threshold_is_the_best_of_all(wanted: float | None) -> None:
    """By F1, or with the most texts found at the wanted precision; its figures are those of the texts."""
    judged = judge(("a", "b"), SCORES, TRUTH)

    for index, one in enumerate(choose(judged, wanted)):
        tried = [_figures(judged, index, threshold / 1000) for threshold in range(1001)]
        assert (one.precision, one.recall, one.f1) == pytest.approx(_figures(judged, index, one.value))
        if wanted is None:
            assert one.f1 == pytest.approx(max(f1 for _, _, f1 in tried))
        else:
            assert one.precision >= wanted
            assert one.recall == pytest.approx(max(recall for precision, recall, _ in tried if precision >= wanted))


def test_a_precision_that_no_threshold_reaches_is_said_to_be_out_of_reach() -> None:
    """The highest scores are wrong; a label that no text has gets no threshold at all."""
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    truth = np.array([[False, False], [True, False], [True, False]])

    (one,) = choose(judge(("a", "b"), scores, truth), 0.99)

    assert ("a", 1.0, False, 0) == (one.label, one.value, one.reached, one.kept)


def test_a_label_without_a_threshold_is_always_given_where_others_have_one() -> None:
    """As the server answers; without any thresholds 0.5 decides, and one number decides for all."""
    scores, truth = np.array([[0.1, 0.4], [0.6, 0.7]]), np.zeros((2, 2), bool)
    by_label, one, none = (judge(("a", "b"), scores, truth, given) for given in ({"a": 0.5}, 0.4, None))

    assert [[False, True], [True, True]] == by_label.decisions.tolist()
    assert [[False, True], [True, True]] == one.decisions.tolist()
    assert [[False, False], [True, True]] == none.decisions.tolist()


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [(0.2, 0.7, 0.45), (0.501, 0.502, 0.5015), (0.0, 0.004, 0.002), (0.99999, 1.0, 0.999995), (0.3, 0.3, 0.3)],
)
def test_a_threshold_has_few_digits(below: float, above: float, expected: float) -> None:
    """It lies between the last score that reaches it and the next."""
    assert expected == between(below, above)


def _softmax(logits: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", temperature: float) -> "np.ndarray":
    scores = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_is_found_again(temperature: float) -> None:
    """That by which the labels were drawn; on texts that had no part in it scores then say how often they are right."""
    logits = RNG.normal(0, 2, (4000, 3))
    drawn = [RNG.choice(3, p=row) for row in _softmax(logits, temperature)]
    judged = judge_best(("a", "b", "c"), _softmax(logits, 1.0), np.eye(3, dtype=bool)[drawn])

    found = calibrate(judged, lambda one: _softmax(logits, one), seed=1)

    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert found.ece_after < 0.03
    assert found.nll_after <= found.nll_before + 1e-3
    if temperature != 1.0:
        assert found.ece_after < found.ece_before / 3


@pytest.mark.parametrize("texts", [1, 4])
def test_a_temperature_needs_texts_that_had_no_part_in_it(texts: int) -> None:
    """Of fewer texts than there are parts no figure would be of others."""
    judged = judge_best(("a", "b"), np.full((texts, 2), 0.5), np.eye(2, dtype=bool)[np.zeros(texts, int)])

    with pytest.raises(InvalidRequestError, match=f"needs 5 texts, .* but only {texts} can be used: add more"):
        calibrate(judged, lambda _: judged.scores, seed=1)


@pytest.mark.parametrize(
    ("logits", "drawn", "why"),
    [
        ([[2.0, -2.0]] * 9, [0] * 9, "0.01 is the end of what was tried: add texts, some of which"),
        ([[2.0, -2.0]] * 9, [1] * 9, "100 is the end of what was tried: add texts, some of which"),
        ([[1.0, -1.0]] * 10, [0] * 8 + [1] * 2, "on texts that had no part in it, it does not help"),
    ],
)
def test_a_temperature_that_texts_do_not_support_is_for_no_use(
    logits: list[list[float]], drawn: list[int], why: str
) -> None:
    """Because all are right, all are wrong, or it makes others worse."""
    scores = np.array(logits)
    judged = judge_best(("a", "b"), _softmax(scores, 1.0), np.eye(2, dtype=bool)[drawn])
    found = calibrate(judged, lambda one: _softmax(scores, one), seed=1)

    assert f"The temperature is left out of the configuration, since {why}" in (found.reason_against or "")
    assert "-0" not in f"{found.nll_before:.4f} {found.nll_after:.4f}"


def test_mcnemar_is_the_binomial_of_the_uneven_texts() -> None:
    """Nine that only the first gets right against two: by hand from Pascal's triangle."""
    truth = np.eye(2, dtype=bool)[np.zeros(40, int)]
    right, wrong = [0.9, 0.1], [0.1, 0.9]
    first = judge_best(("a", "b"), np.array([right] * 30 + [wrong] * 10), truth)
    second = judge_best(("a", "b"), np.array([right] * 21 + [wrong] * 9 + [right] * 2 + [wrong] * 8), truth)

    counts = mcnemar(first, second)

    assert (21, 9, 2, 8) == (counts.both, counts.only_first, counts.only_second, counts.neither)
    assert counts.p_value == pytest.approx(2 * sum(math.comb(11, k) for k in range(3)) / 2**11)
    assert 1.0 == mcnemar(first, first).p_value


def test_a_difference_is_tested_on_shared_resamples() -> None:
    """Of a model with itself it is 0 for sure; of a far better one it is more than chance."""
    truth = np.eye(2, dtype=bool)[RNG.integers(2, size=200)]
    good = np.where(RNG.random((200, 1)) < 0.95, truth, ~truth).astype(float)
    poor = np.where(RNG.random((200, 1)) < 0.6, truth, ~truth).astype(float)
    models = [judge_best(("a", "b"), scores, truth) for scores in (good, poor)]
    same, worse = resample([models[0], models[0]], 200, 0), resample(models, 200, 0)

    none = difference((0.95, 0.95), (same[0][:, 0], same[1][:, 0]))
    much = difference((0.95, 0.6), (worse[0][:, 0], worse[1][:, 0]))

    assert (0, 0, 0, 1) == (none.value, none.low, none.high, none.p_value)
    assert much.high < -0.2 > much.value
    assert much.p_value < 0.05
