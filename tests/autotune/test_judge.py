"""Labelled evaluation texts: how they are read, and what of a model's scores is right by them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labeld.autotune.accuracy import AccuracyLoss
from labeld.autotune.judge import Judge, judge_of
from labeld.autotune.texts import MIN_TEXTS, read_labelled_texts
from labeld.autotune.trial import Measured, is_allowed
from labeld.checkpoint.config import ModelConfig
from labeld.config.models_file import ModelEntry, Thresholds
from labeld.config.settings import Precisions
from labeld.errors import SettingsError
from labeld.types import Text

TWO = ModelConfig("bert", "BertForSequenceClassification", ("NEGATIVE", "POSITIVE"), "softmax", {})
MANY = replace(TWO, default_function="sigmoid")
# the scores of label 1 by softmax, and of each label by sigmoid: 0.27, 0.73, 0.95, 0.88
LOGITS = np.array([[0, -1], [0, 1], [0, 3], [0, 2]], np.float32)
GIVEN = [("negative",), ("1",), ("POSITIVE",), ("NEGATIVE",)]


def judge(config: ModelConfig, thresholds: Thresholds | None = None, temperature: float = 1.0) -> Judge:
    """The judge of these labels."""
    found = judge_of(config, ModelEntry("a", "m", thresholds=thresholds, temperature=temperature), GIVEN)
    assert isinstance(found, Judge)
    return found


@pytest.mark.parametrize(
    ("thresholds", "temperature", "expected"),
    [
        (None, 1.0, 3 / 4),
        ({"POSITIVE": 0.9}, 1.0, 3 / 4),  # the second text is missed, the last one is not wrong any more
        ({"POSITIVE": 0.7}, 1.0, 3 / 4),
        ({"POSITIVE": 0.7}, 3.0, 3 / 4),  # of 0.27, 0.58, 0.73, 0.66
        (0.9, 1.0, 5 / 8),  # only the third text gets its label
    ],
)
def test_decisions_of_one_label_are_the_best_or_those_of_thresholds(
    thresholds: Thresholds | None, temperature: float, expected: float
) -> None:
    """By hand: a label with a threshold is decided about for each text, others are not."""
    assert expected == judge(TWO, thresholds, temperature).right(LOGITS, range(4))


def test_decisions_of_many_labels_are_those_of_thresholds_or_a_half() -> None:
    """A score of 0.5 is enough; a logit that is no number is nothing right."""
    assert 5 / 8 == judge(MANY).right(LOGITS, range(4))
    assert 4 / 8 == judge(MANY, {"NEGATIVE": 0.4, "POSITIVE": 0.2}).right(LOGITS, range(4))
    assert 3 / 4 == judge(MANY, {"POSITIVE": 0.9}).right(LOGITS[2:], [2, 3])
    assert 0.0 == judge(MANY).right(np.full((4, 2), np.nan, np.float32), range(4))


def test_another_label_or_threshold_is_another_trial() -> None:
    """Its choice is kept apart."""
    digests = {judge(TWO, one, by).digest() for one in (None, 0.7, {"POSITIVE": 0.7}) for by in (1.0, 2.0)}
    digests.add(judge_of(TWO, None, GIVEN[1:] * 2).digest())  # type: ignore[union-attr]  # it is a judge

    assert 7 == len(digests)


@pytest.mark.parametrize(
    ("config", "given", "expected"),
    [
        (TWO, [("joy",)], "it has no label 'joy'"),
        (TWO, [("0",), ("0", "1")], "text 2 has 2 labels, and this model gives each text one"),
        (replace(TWO, labels=("LABEL_0",)), [("0",)], "it gives texts a number, no label"),
        (replace(TWO, default_function="none"), [("0",)], "it gives texts a number, no label"),
    ],
)
def test_labels_that_are_not_the_models_judge_nothing(
    config: ModelConfig, given: list[tuple[str, ...]], expected: str
) -> None:
    """The reason is for the log."""
    assert expected == judge_of(config, None, given)


@pytest.mark.parametrize(("right", "expected"), [(0.90, True), (0.89, True), (0.889, False), (0.95, True)])
def test_a_precision_may_lose_as_many_decisions_as_is_tolerated(right: float, expected: bool) -> None:
    """One in a hundred by default, whatever became of the scores."""
    loss = AccuracyLoss(0.5, 0.5, 0.5)
    first = Measured("float32", 1.0, 1.0, 1, AccuracyLoss(1.0, 0.0, 0.0), 0.9)

    assert expected == is_allowed(Measured("int8", 2.0, 1.0, 1, loss, right), first, Precisions())
    assert not is_allowed(Measured("int8", 2.0, 1.0, 1, loss), first, Precisions())


def test_labelled_texts_are_lines_of_json(tmp_path: Path) -> None:
    """With one label or a list, and with pairs."""
    path = tmp_path / "texts.jsonl"
    rows = [{"text": "a", "label": 1}, {"text": "b", "pair": "c", "label": ["x", "y"]}, {"text": "d", "label": True}]
    path.write_text("\n".join(json.dumps(row) for row in rows * MIN_TEXTS) + "\n")

    texts, labels = read_labelled_texts(path)

    assert (Text("a"), Text("b", "c"), Text("d")) == texts[:3]
    assert (("1",), ("x", "y"), ("true",)) == labels[:3]


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"text": "a"}', '{"text": 1, "label": "x"}', '{"label": [], "x": 1}']
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    """With what it should be like."""
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a", "label": 1}\n' + line)

    with pytest.raises(
        SettingsError, match=r'^Line 2 of the file of the setting evaluation_texts is not like \{"text"'
    ):
        read_labelled_texts(path)
