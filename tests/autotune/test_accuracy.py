"""The accuracy loss of a precision, the diversity of answers, and the precision to choose. Tables; no model."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from labeld.autotune.accuracy import AccuracyLoss, Diversity, Logits, diversity, fastest, kendall_tau, loss
from labeld.autotune.texts import MIN_TEXTS, SHIPPED, digest, read_evaluation_texts, shipped_evaluation_texts
from labeld.config.settings import Precisions
from labeld.errors import SettingsError
from labeld.literals import FunctionName, Precision

TEXTS = 200
RNG = np.random.default_rng(5)
TWO = RNG.normal(0, 2, (TEXTS, 2)).astype(np.float32)
MANY = RNG.normal(0, 2, (TEXTS, 5)).astype(np.float32)
ONE = RNG.normal(0, 2, (TEXTS, 1)).astype(np.float32)
NEAR, FAR = np.float32(1e-4), np.float32(0.5)

VARIED, SAME = Diversity(0.6, 0.8), Diversity(0.97, 0.8)
CHEAP, DEAR = AccuracyLoss(0.999, 0.002, 0.03), AccuracyLoss(0.98, 0.002, 0.03)


def nudged(logits: Logits, size: np.float32) -> Logits:
    """The logits with seeded noise of this size."""
    noise = np.random.default_rng(6).normal(0, 1, logits.shape).astype(np.float32)
    return logits + size * noise


@pytest.mark.parametrize(
    ("logits", "function"), [(TWO, "softmax"), (MANY, "softmax"), (MANY, "sigmoid"), (ONE, "sigmoid"), (ONE, "none")]
)
def test_a_small_change_is_within_the_defaults_and_a_large_one_is_not(logits: Logits, function: FunctionName) -> None:
    """For every kind of model."""
    assert loss(logits, nudged(logits, NEAR), function).within(Precisions())
    assert not loss(logits, nudged(logits, FAR), function).within(Precisions())
    assert AccuracyLoss(1.0, 0.0, 0.0) == loss(logits, logits, function)
    assert diversity(logits, function).enough


def test_agreement_of_one_label_out_of_many_is_the_share_of_the_same_best_label() -> None:
    """Three of 200 texts get another best label."""
    other = MANY.copy()
    other[:3] = -other[:3]

    assert (TEXTS - 3) / TEXTS == loss(MANY, other, "softmax").agreement


def test_agreement_of_many_labels_is_that_of_the_worst_label() -> None:
    """A label that changes side on two texts is not hidden by four that never do."""
    other = MANY.copy()
    other[:2, 3] = -other[:2, 3]

    assert (TEXTS - 2) / TEXTS == loss(MANY, other, "sigmoid").agreement


def test_agreement_of_a_single_label_is_that_of_the_order() -> None:
    """Kendall's tau-b, counted pair by pair with ties; the scores may move together without loss."""
    other = np.round(nudged(ONE, FAR), 1)
    pairs = list(itertools.combinations(zip(ONE[:, 0].tolist(), other[:, 0].tolist(), strict=True), 2))
    agreed = sum(math.copysign(1, (a - c) * (b - d)) for (a, b), (c, d) in pairs if a != c and b != d)
    untied = sum(b != d for (_, b), (_, d) in pairs)
    expected = agreed / math.sqrt(len(pairs) * untied)

    assert expected == pytest.approx(kendall_tau(ONE[:, 0].astype(float), other[:, 0].astype(float)), abs=1e-12)
    assert loss(ONE, other, "none").agreement == pytest.approx(expected, abs=1e-12)
    assert loss(ONE, ONE * np.float32(0.9), "sigmoid").agreement == 1.0


def test_the_change_of_a_text_is_that_of_the_label_that_changes_most() -> None:
    """One text of 200 goes from one half to nearly one."""
    before = np.zeros((TEXTS, 2), np.float32)
    after = before.copy()
    after[7] = 50, -50
    its_cost = loss(before, after, "softmax")

    assert its_cost.mean_change == pytest.approx(0.5 / TEXTS)
    assert its_cost.p99_change == pytest.approx(np.percentile([0.5] + [0.0] * (TEXTS - 1), 99))


def test_a_score_that_is_no_probability_is_measured_in_its_own_spread() -> None:
    """A relative change is the same loss in every unit."""
    small, large = (loss(ONE * unit, nudged(ONE, FAR) * unit, "none") for unit in (np.float32(1), np.float32(100)))

    assert small.mean_change == pytest.approx(large.mean_change, rel=1e-4)


def test_a_score_that_is_no_number_costs_everything() -> None:
    """In either precision."""
    broken = TWO.copy()
    broken[3, 0] = np.nan

    for pair in itertools.permutations((TWO, broken)):
        assert not loss(*pair, "softmax").within(Precisions())
    assert not diversity(broken, "softmax").enough


@pytest.mark.parametrize(
    ("logits", "function"),
    [
        (np.abs(TWO) * np.array([1, -1], np.float32), "softmax"),  # always the first label
        (TWO * np.float32(0.01), "softmax"),  # always undecided
        (MANY - np.float32(20), "sigmoid"),  # no label ever
        (ONE * np.float32(0.001), "sigmoid"),  # always the same score
        (np.zeros((TEXTS, 3), np.float32), "none"),
    ],
)
def test_agreement_on_texts_that_say_nothing_is_not_believed(logits: Logits, function: FunctionName) -> None:
    """Answers that are all alike agree in any precision, so float32 it is."""
    answers = diversity(logits, function)

    assert not answers.enough
    assert "float32" == fastest({"float32": 1.0, "int8": 3.0}, ["int8"], answers)


@pytest.mark.parametrize(
    ("losses", "answers", "expected"),
    [
        ({"bfloat16": CHEAP, "int8": CHEAP}, VARIED, "int8"),
        ({"bfloat16": CHEAP, "int8": DEAR}, VARIED, "bfloat16"),
        ({"bfloat16": DEAR, "int8": DEAR}, VARIED, "float32"),
        ({"bfloat16": CHEAP, "int8": AccuracyLoss(1, 0.011, 0.03)}, VARIED, "bfloat16"),
        ({"bfloat16": CHEAP, "int8": AccuracyLoss(1, 0.002, 0.081)}, VARIED, "bfloat16"),
        ({"bfloat16": CHEAP, "int8": AccuracyLoss(0.99, 0.01, 0.08)}, VARIED, "int8"),
        ({"bfloat16": CHEAP, "int8": CHEAP}, SAME, "float32"),
        ({"int8": CHEAP}, Diversity(None, 0.5), "int8"),
        ({"int8": CHEAP}, Diversity(None, 0.05), "float32"),
        ({}, VARIED, "float32"),
    ],
)
def test_the_fastest_that_stays_within_the_tolerances_is_taken(
    losses: dict[Precision, AccuracyLoss], answers: Diversity, expected: Precision
) -> None:
    """Each tolerance counts by itself; its exact value is still within."""
    speeds: dict[Precision, float] = {"float32": 1.0, "bfloat16": 2.0, "int8": 3.0}

    assert expected == fastest(speeds, [one for one, its in losses.items() if its.within(Precisions())], answers)


def test_a_precision_that_is_no_faster_is_not_taken() -> None:
    """Such as bfloat16 on a processor that emulates it."""
    assert "float32" == fastest({"float32": 2.0, "bfloat16": 1.0}, ["bfloat16"], VARIED)


def test_the_shipped_texts_are_many_and_mixed() -> None:
    """At least 300 different ones of each kind, short and long, in many scripts, with their source beside them."""
    texts, pairs = shipped_evaluation_texts(2), shipped_evaluation_texts(1)
    lengths = sorted(len(text.text) for text in texts)

    assert min(len(set(texts)), len(set(pairs))) >= 300
    assert all(text.pair is None for text in texts)
    assert all(pair.pair for pair in pairs)
    assert (lengths[20] < 30, lengths[-20] > 300) == (True, True)
    for letter in "eßçłжλعیहไ的のạ":
        assert any(letter in text.text for text in texts), letter
    assert "CC BY" in (SHIPPED / "SOURCE.md").read_text()


def test_an_operators_file_has_one_text_or_pair_per_line(tmp_path: Path) -> None:
    """Empty lines are none, and line ends may be those of Windows."""
    path = tmp_path / "texts.tsv"
    path.write_bytes(b"a question\tan answer\r\n\nalone\n" + b"".join(b"text %d\n" % n for n in range(MIN_TEXTS)))
    texts = read_evaluation_texts(path)

    assert [("a question", "an answer"), ("alone", None), ("text 0", None)] == [tuple(text) for text in texts[:3]]
    assert digest(texts) != digest(texts[1:])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"one\ntwo\n", "The file of the setting evaluation_texts has 2 texts, but must have at least 100."),
        (b"\xff" * 200, "The file of the setting evaluation_texts is not UTF-8: save it as UTF-8."),
        (None, "The file of the setting evaluation_texts cannot be read."),
    ],
)
def test_a_useless_file_is_refused(tmp_path: Path, content: bytes | None, expected: str) -> None:
    """At start, in one sentence."""
    path = tmp_path / "texts.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingsError) as refused:
        read_evaluation_texts(path)

    assert expected == str(refused.value)
