"""Whatever a body is, a dialect parses it or says what is wrong, and what it parses it can answer."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.interface import Interface
from labeld.protocol.dialects.base import Answered, Call, Dialect
from labeld.protocol.dialects.open_inference import HEADER, read_infer
from labeld.service.aliases import completed
from labeld.types import Options
from labeld.web.dialects import DIALECTS
from tests.support.dialect_bodies import BODIES, LISTS

pytestmark = pytest.mark.slow

LIMITS = InputLimits()
LABELS = ("contradiction", "neutral", "entailment")
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=5),
    lambda one: some.lists(one, max_size=3) | some.dictionaries(some.text(max_size=5), one, max_size=3),
    max_leaves=8,
)
MEMBERS = (
    *("query", "texts", "documents", "inputs", "input", "labels", "instances", "parameters", "passages", "queries"),
    *("text_1", "text_2", "model", "label", "top_n", "top_k", "truncate", "truncation", "truncation_direction"),
    *("raw_scores", "return_text", "return_documents", "max_tokens_per_doc", "stride", "max_length", "aggregate"),
    *("candidate_labels", "hypothesis_template", "multi_label", "truncate_prompt_tokens", "use_activation", "id"),
    *("outputs", "name", "shape", "datatype", "data", "text", "text_pair", "activation", "threshold"),
    *("rank_fields", "return_windows", "softmax", "hypothesisTemplate"),
)


def call(value: Any) -> Call:
    """The call with this body."""
    return Call(value, {}, "org/model", None, LIMITS, Options(), "some-id", 1)


def require_sentence(error: InvalidRequestError) -> None:
    """An error that a client can read."""
    assert len(error.sentence(Interface.HTTP)) > 10


def answered(dialect: Dialect, value: Any) -> Any:
    """The reply to a body, with scores that are made up, or None where it is refused in a sentence."""
    try:
        question = completed(dialect.parse(call(value)), None)
        asked = question.request(LABELS)
    except InvalidRequestError as error:
        require_sentence(error)
        return None
    ranking = [{"label": label, "score": score} for label, score in zip(LABELS, (0.5, 0.3, 0.2), strict=True)]
    shown: Any = ranking[: asked.parameters.top_k]
    if asked.parameters.return_windows:
        shown = {"labels": shown, "windows": [{"start": 0, "end": 1, "labels": shown}]}
    reply = question.reply(Answered([shown] * len(asked.texts), LABELS, "org/model", 7))
    return json.loads(json.dumps(reply, allow_nan=False))


def by_name(dialect: Dialect) -> str:
    """The name of a dialect."""
    return dialect.name


@pytest.mark.parametrize("dialect", DIALECTS, ids=by_name)
@given(value=JSON)
@settings(max_examples=40)
def test_any_value(dialect: Dialect, value: Any) -> None:
    """A body of any kind."""
    answered(dialect, value)


@pytest.mark.parametrize("dialect", DIALECTS, ids=by_name)
@given(name=some.sampled_from(MEMBERS), value=JSON, inside=some.booleans())
@settings(max_examples=40)
def test_any_member(dialect: Dialect, name: str, value: Any, inside: bool) -> None:
    """A good body of which one member is anything, at its top or in `parameters`."""
    body = copy.deepcopy(BODIES[dialect.name])
    place = body.setdefault("parameters", {}) if inside else body
    place[name] = value

    answered(dialect, body)


@pytest.mark.parametrize("dialect", DIALECTS, ids=by_name)
@given(value=JSON)
@settings(max_examples=40)
def test_any_list_of_texts(dialect: Dialect, value: Any) -> None:
    """A good body whose texts are anything."""
    body = copy.deepcopy(BODIES[dialect.name])
    place: Any = body
    *way, last = LISTS[dialect.name]
    for one in way:
        place = place[one]
    place[last] = value

    answered(dialect, body)


@pytest.mark.parametrize("dialect", DIALECTS, ids=by_name)
def test_the_examples_are_answered(dialect: Dialect) -> None:
    """The bodies that the tests above change are good ones."""
    assert answered(dialect, BODIES[dialect.name]) is not None


@given(body=some.binary(max_size=40), length=some.text(max_size=6) | some.integers(0, 50).map(str))
@settings(max_examples=200)
def test_any_binary_body(body: bytes, length: str) -> None:
    """Bytes of any kind after a header of any length are read or refused."""
    try:
        read_infer(body, {HEADER: length}, LIMITS)
    except InvalidRequestError as error:
        require_sentence(error)


@given(data=some.binary(max_size=30), size=JSON)
@settings(max_examples=200)
def test_any_binary_tensor(data: bytes, size: Any) -> None:
    """A tensor of any bytes and any size is read or refused."""
    for said in (size, len(data)):
        head = json.dumps({"inputs": [{"name": "text", "parameters": {"binary_data_size": said}}]}).encode()
        try:
            read_infer(head + data, {HEADER: str(len(head))}, LIMITS)
        except InvalidRequestError as error:
            require_sentence(error)
