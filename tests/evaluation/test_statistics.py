"""Metrics, and their resamples, against scikit-learn on the rows themselves."""

import numpy as np
import pytest
from sklearn import metrics

from labeld.evaluation.bootstrap import intervals, resample
from labeld.evaluation.judged import Judged, judge, judge_best
from labeld.evaluation.statistics import Weighted, calibration_error, names, vector

RNG = np.random.default_rng(3)
TEXTS = 300


def _scores(labels: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Probabilities with few digits, so that many are equal."""
    scores = RNG.dirichlet(np.ones(labels), TEXTS)
    return np.round(scores, 2)


def _one_label(labels: int = 4) -> Judged:
    """Texts of which most are right; nobody has the last label, and it is never given."""
    scores = _scores(labels)
    scores[:, -1] = 0
    truth = np.eye(labels, dtype=bool)[np.where(RNG.random(TEXTS) < 0.7, scores.argmax(1), RNG.integers(labels - 1))]
    return judge_best([f"l{index}" for index in range(labels)], scores, truth)


def _many_labels() -> Judged:
    scores = _scores(3) * 1.4
    truth = RNG.random((TEXTS, 3)) < scores
    return judge(("a", "b", "c"), scores, truth, {"a": 0.5, "b": 0.4, "c": 0.5})


JUDGED = {"one label": _one_label(), "two labels": _one_label(3), "many": _many_labels()}


def _by_name(judged: Judged, values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> dict[str, float]:
    return {f"{group} {metric}": float(one) for (group, metric), one in zip(names(judged), values, strict=True)}


@pytest.mark.parametrize("kind", ["one label", "two labels"])
def test_metrics_of_one_label_are_those_of_scikit_learn(kind: str) -> None:
    """On the ids of labels, as its own examples have it."""
    judged = JUDGED[kind]
    truth, given = judged.truth.argmax(1), judged.scores.argmax(1)
    found = _by_name(judged, vector(judged))

    assert found["overall accuracy"] == metrics.accuracy_score(truth, given)
    for name, score in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert found[f"macro {name}"] == pytest.approx(score(truth, given, average="macro"))
        each = score(truth, given, average=None, labels=range(len(judged.labels)), zero_division=0)
        assert [found[f"label {index} {name}"] for index in range(len(judged.labels))] == pytest.approx(each)
    known = range(len(judged.labels) - 1)
    areas = [metrics.roc_auc_score(truth == index, judged.scores[:, index]) for index in known]
    assert found["macro auroc"] == pytest.approx(np.mean(areas))
    assert np.isnan(found[f"label {len(judged.labels) - 1} auroc"])


def test_metrics_of_many_labels_are_those_of_scikit_learn() -> None:
    """On the indicator matrix; a text is right where all of its labels are."""
    judged = JUDGED["many"]
    found = _by_name(judged, vector(judged))
    given = judged.scores >= [0.5, 0.4, 0.5]

    assert found["overall accuracy"] == metrics.accuracy_score(judged.truth, given)
    for average in ("macro", "micro"):
        assert found[f"{average} f1"] == pytest.approx(metrics.f1_score(judged.truth, given, average=average))
    assert found["macro auroc"] == pytest.approx(metrics.roc_auc_score(judged.truth, judged.scores))
    assert found["macro average_precision"] == pytest.approx(
        metrics.average_precision_score(judged.truth, judged.scores)
    )


@pytest.mark.parametrize("kind", JUDGED)
def test_a_resample_has_the_metrics_of_the_rows_that_it_drew(kind: str) -> None:
    """Weights count as if each row stood there as often; scikit-learn computes the rows."""
    judged = JUDGED[kind]
    weights = RNG.integers(1, 4, TEXTS)
    rows = np.repeat(np.arange(TEXTS), weights)
    drawn = Judged(judged.labels, judged.multi_label, judged.scores[rows], judged.truth[rows], judged.decisions[rows])

    assert Weighted(judged).vector(np.ones(TEXTS)) == pytest.approx(vector(judged), nan_ok=True)
    assert Weighted(judged).vector(weights.astype(float)) == pytest.approx(vector(drawn), nan_ok=True)


def test_a_resample_without_a_label_says_nothing_of_it() -> None:
    """The macro averages are then over the others, as scikit-learn has them of those rows."""
    judged = JUDGED["one label"]
    weights = 1.0 - (judged.truth[:, 1] | judged.decisions[:, 1])
    found = _by_name(judged, Weighted(judged).vector(weights))
    rows = weights > 0
    truth, given = judged.truth[rows].argmax(1), judged.scores[rows].argmax(1)

    assert np.isnan(found["label 1 f1"])
    assert found["macro f1"] == pytest.approx(metrics.f1_score(truth, given, average="macro"))
    assert found["overall accuracy"] == metrics.accuracy_score(truth, given)


def test_intervals_are_those_of_the_binomial_and_stay_with_the_seed() -> None:
    """For accuracy, whose standard error has a formula; a label that nobody has has none."""
    judged = JUDGED["one label"]
    (samples,) = resample([judged], 600, 5)
    (again,) = resample([judged], 600, 5)
    low, high = intervals(samples)
    accuracy = judged.right.mean()
    error = 1.96 * np.sqrt(accuracy * (1 - accuracy) / TEXTS)

    assert np.array_equal(samples, again, equal_nan=True)
    assert (accuracy - error, accuracy + error) == pytest.approx((low[0], high[0]), abs=0.015)
    place = names(judged).index(("label 3", "auroc"))
    assert np.isnan(low[place])


def test_the_calibration_error_is_the_weighted_gap_of_each_bin() -> None:
    """Two bins, of three texts and of one: (3 * |0.9 - 2/3| + 1 * |0.2 - 1|) / 4."""
    confidence = np.array([0.9, 0.9, 0.9, 0.2])
    right = np.array([True, True, False, True])

    assert calibration_error(confidence, right) == pytest.approx((abs(2.7 - 2) + 0.8) / 4)
    assert 0 == calibration_error(np.array([1.0, 0.0]), np.array([True, False]))
