"""The client side of dialects, by the shapes that the servers' own sources have."""

import json
from typing import Any

import pytest

from labeld.comparison.answers import PeerScore
from labeld.comparison.dialects import DIALECTS, Asking, own_dialect
from labeld.comparison.errors import UnreadableReplyError
from labeld.errors import InvalidRequestError
from labeld.types import Text

BEST = [("positive", 0.7), ("neutral", 0.2), ("negative", 0.1)]
RANKING = [{"label": label, "score": score} for label, score in BEST]
BY_ID = [("positive", 0.7), ("LABEL_1", 0.2), ("LABEL_0", 0.1)]
PROBS = [0.1, 0.2, 0.7]
TENSOR = {"name": "scores", "datatype": "FP32", "shape": [1, 3], "data": PROBS}
LABEL = {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["positive"]}


@pytest.mark.parametrize(
    ("dialect", "reply", "expected"),
    [
        ("hosted", [RANKING], BEST),
        ("hosted", RANKING[::-1], BEST),
        ("hosted", RANKING[0], BEST[:1]),
        ("sagemaker", [RANKING], BEST),
        ("endpoint", RANKING, BEST),
        ("tei", RANKING, BEST),
        ("tei", [RANKING], BEST),
        ("vllm", {"data": [{"index": 0, "label": "positive", "probs": PROBS, "num_classes": 3}]}, BY_ID),
        ("vllm", {"data": [{"label": None, "probs": [0.4, 0.6]}]}, [("LABEL_1", 0.6), ("LABEL_0", 0.4)]),
        ("infinity", {"object": "classify", "data": [RANKING]}, BEST),
        ("open-inference", {"outputs": [LABEL, TENSOR]}, BY_ID),
        ("open-inference", {"outputs": [{**TENSOR, "data": [PROBS]}]}, [("LABEL_2", 0.7), *BY_ID[1:]]),
        ("open-inference", {"outputs": [LABEL]}, [("positive", None)]),
        ("open-inference", {"outputs": [{"datatype": "INT64", "shape": [1], "data": [2]}]}, [("LABEL_2", None)]),
        ("open-inference", {"outputs": [{"datatype": "BYTES", "data": [json.dumps(RANKING)]}]}, BEST),
        ("kserve", {"predictions": [2]}, [("LABEL_2", None)]),
        ("kserve", {"predictions": ["positive"]}, [("positive", None)]),
        ("kserve", {"predictions": [PROBS]}, [("LABEL_2", 0.7), *BY_ID[1:]]),
        ("kserve", {"predictions": [{"0": 0.1, "1": 0.9}]}, [("1", 0.9), ("0", 0.1)]),
        ("kserve", {"predictions": [RANKING]}, BEST),
        ("vertex", {"predictions": [RANKING]}, BEST),
        ("hosted", [[]], []),
        ("tei", [], []),
        ("kserve", {"predictions": [[]]}, []),
        ("infinity", {"data": [[]]}, []),
    ],
)
def test_a_reply_is_read(dialect: str, reply: Any, expected: list[tuple[str, float | None]]) -> None:
    """Best label first, whatever the reply's order; a score without a label has that of its id."""
    assert tuple(PeerScore(*one) for one in expected) == DIALECTS[dialect].read(reply)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "reply",
    [
        None,
        {},
        "positive",
        {"error": "no"},
        [{"label": "positive"}],
        [{"label": None, "score": 1.0}],
        [{"label": "positive", "score": None}],
        [{"label": "positive", "score": float("nan")}],
        [{"label": "positive", "score": "0.5"}],
        [{"label": "positive", "score": 10**400}],
        {"data": [], "predictions": [], "outputs": []},
        {"data": [{"probs": []}], "predictions": [{}], "outputs": [{"datatype": "FP32", "data": []}]},
        {"data": [{"probs": [None]}], "predictions": [True], "outputs": [{"datatype": "FP32", "data": ["x"]}]},
        {"data": {"probs": 1}, "predictions": {"a": 1}, "outputs": ["x"]},
    ],
)
def test_a_reply_without_scores_is_refused(dialect: str, reply: Any) -> None:
    """With a sentence, never with another exception."""
    with pytest.raises(UnreadableReplyError, match=r"^The reply has .+\.$"):
        DIALECTS[dialect].read(reply)


def test_a_body_of_ones_own_has_the_texts_in_their_places() -> None:
    """Anywhere in it, quotes and all; a text without a pair has null."""
    dialect = own_dialect('{"q": {"texts": ["TEXT", "PAIR"]}, "k": 5}')

    assert dialect.takes_pairs
    assert {"q": {"texts": ['a "b"', "c"]}, "k": 5} == dialect.body(Text('a "b"', "c"), Asking("m"))
    assert {"q": {"texts": ["a", None]}, "k": 5} == dialect.body(Text("a"), Asking("m"))
    assert not own_dialect('{"text": "TEXT"}').takes_pairs


@pytest.mark.parametrize("template", ["", "{", '{"text": "a TEXT"}', '{"TEXT": 1}', "[" * 100_000])
def test_a_body_of_ones_own_that_is_none_is_refused(template: str) -> None:
    """In one sentence that names the option."""
    with pytest.raises(InvalidRequestError, match="--body"):
        own_dialect(template)


def test_truncation_is_asked_for_in_the_words_of_each_dialect() -> None:
    """And left out where it was not asked for, but for TEI, whose default differs between versions."""
    asked = {name: json.dumps(one.body(Text("a"), Asking("m", truncation=True))) for name, one in DIALECTS.items()}
    plain = {name: json.dumps(one.body(Text("a"), Asking("m"))) for name, one in DIALECTS.items()}

    assert '"truncate": true' in asked["tei"]
    assert '"truncate": false' in plain["tei"]
    assert '"truncate_prompt_tokens": -1' in asked["vllm"]
    assert asked["infinity"] == plain["infinity"]  # it always cuts
    for name in ("hosted", "endpoint", "sagemaker", "open-inference", "kserve", "vertex"):
        assert '"truncation": true' in asked[name]
        assert "trunc" not in plain[name]
