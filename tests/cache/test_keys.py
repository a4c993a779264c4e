"""A key stands for one question and no other, and what Redis keeps is believed only as it was written."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeld.cache.keys import Identity, answer_keys
from labeld.cache.signing import sign, verify
from labeld.types import Answer, ClassifyRequest, Options, Parameters, Text

IDENTITY = Identity("0" * 40, "float32", 512, 128_000, "{}")
ASKED = ClassifyRequest((Text("good", "bad"),))
CHANGED: dict[str, Any] = {
    "top_k": 1,
    "function_to_apply": "none",
    "truncation": "longest_first",
    "max_length": 9,
    "max_pair_tokens": 9,
    "truncation_side": "left",
    "stride": 2,
    "aggregate": "mean",
    "return_windows": True,
    "threshold": 0.5,
    "by_id": True,
}

identities = st.builds(Identity, st.text(max_size=3), st.text(max_size=3), st.integers(1, 9), st.integers(1, 9))
texts = st.builds(Text, st.text(max_size=3), st.none() | st.text(max_size=3))
parameters = st.builds(
    Parameters,
    st.none() | st.integers(1, 3),
    st.sampled_from([None, "softmax", "none"]),
    st.sampled_from([None, "longest_first", "only_first"]),
    st.none() | st.integers(1, 3),
)
questions = st.tuples(identities, texts, parameters, st.text(max_size=3))


def key(identity: Identity, text: Text, asked: Parameters, scope: str) -> bytes:
    """The key of one text."""
    [only] = answer_keys(identity, ClassifyRequest((text,), asked), scope)
    return only


@given(questions, questions)
def test_two_questions_have_one_key_only_if_they_are_the_same(one: Any, other: Any) -> None:
    """Whatever differs, and wherever one field could run into the next."""
    assert (one == other) is (key(*one) == key(*other))


@given(st.lists(texts, max_size=4), questions)
def test_a_text_has_the_same_key_alone_and_among_others(several: list[Text], question: Any) -> None:
    """So a request finds what another one of other texts has left."""
    identity, _, asked, scope = question

    together = answer_keys(identity, ClassifyRequest(tuple(several), asked), scope)

    assert [key(identity, one, asked, scope) for one in several] == together


@pytest.mark.parametrize("name", Identity._fields)
def test_every_part_of_the_identity_is_in_the_key(name: str) -> None:
    """Another revision, precision or limit is another question."""
    value = getattr(IDENTITY, name)
    other = IDENTITY._replace(**{name: value + value if isinstance(value, str) else value + 1})

    assert answer_keys(IDENTITY, ASKED, "") != answer_keys(other, ASKED, "")


@pytest.mark.parametrize("name", [field.name for field in fields(Parameters)])
def test_every_parameter_is_in_the_key(name: str) -> None:
    """Also one that will be added."""
    other = ASKED._replace(parameters=replace(ASKED.parameters, **{name: CHANGED[name]}))

    assert answer_keys(IDENTITY, ASKED, "") != answer_keys(IDENTITY, other, "")


def test_what_does_not_decide_an_answer_is_not_in_the_key() -> None:
    """Options, ignored parameters and, unless it is the scope, who asks."""
    other = ASKED._replace(options=Options(use_cache=False, wait_for_model=True), ignored=("x",))

    assert answer_keys(IDENTITY, ASKED, "") == answer_keys(IDENTITY, other, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Text("ab", "c"), Text("a", "bc")),
        (Text("as", "b"), Text("a", "sb")),
        (Text("a", None), Text("a", "")),
        (Text("", "a"), Text("a", "")),
        (Text("é"), Text("e\u0301")),
        (Text("\ud800"), Text("\udc00")),
        (Text("a\0b"), Text("a", "b")),
    ],
)
def test_texts_that_look_alike_are_different_questions(one: Text, other: Text) -> None:
    """Pairs cut elsewhere, empty and missing parts, composed and decomposed letters, halves of characters."""
    assert key(IDENTITY, one, Parameters(), "") != key(IDENTITY, other, Parameters(), "")


def test_a_key_says_nothing_else() -> None:
    """32 bytes."""
    assert [32] == [len(one) for one in answer_keys(IDENTITY, ASKED, "")]


counts = st.integers(0, 2**64 - 1)
answers = st.builds(
    Answer,
    st.binary(max_size=40),
    st.floats(0, 1e6),
    counts,
    counts,
    counts,
    st.none() | st.text(max_size=9) | st.just("\ud800"),
    st.floats(allow_nan=False, allow_infinity=False),
)
keys = st.binary(min_size=32, max_size=32)


@given(keys, answers, st.binary(max_size=8))
def test_what_was_sealed_is_read_back(one: bytes, answer: Answer, secret: bytes) -> None:
    """With the same key and secret."""
    assert answer == verify(one, sign(one, answer, secret), secret)


@given(keys, answers, st.binary(max_size=8), st.data())
def test_a_flipped_bit_or_a_missing_end_is_a_miss(one: bytes, answer: Answer, secret: bytes, data: Any) -> None:
    """Wherever it is."""
    signed = sign(one, answer, secret)
    at = data.draw(st.integers(0, 8 * len(signed) - 1))
    flipped = (int.from_bytes(signed, "big") ^ (1 << at)).to_bytes(len(signed), "big")

    assert verify(one, flipped, secret) is None
    assert verify(one, signed[: at // 8], secret) is None


@given(keys, keys, answers)
def test_another_keys_answer_and_another_secrets_are_misses(one: bytes, other: bytes, answer: Answer) -> None:
    """Values that were swapped, or written by somebody who does not know the secret."""
    signed = sign(one, answer, b"ours")

    assert verify(other, signed, b"ours") == (answer if one == other else None)
    assert verify(one, sign(one, answer, b""), b"ours") is None
    assert verify(one, signed, b"") is None


@given(keys, st.binary(max_size=200))
def test_anything_else_is_a_miss(one: bytes, value: bytes) -> None:
    """Bytes that nobody signed."""
    assert verify(one, value, b"") is None


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_a_miss(seconds: float) -> None:
    """It could not be written into a header."""
    assert verify(b"k" * 32, sign(b"k" * 32, Answer(b"[]", seconds), b""), b"") is None
