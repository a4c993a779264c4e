"""JSON is read strictly and within limits, and hostile JSON is refused with a sentence and nothing worse."""

import json
from dataclasses import replace

import pytest

from labeld.config.settings import InputLimits
from labeld.errors import InvalidJsonError, InvalidRequestError
from labeld.protocol import strict_json

LIMITS = InputLimits()
MIB_2 = 2 * 1024 * 1024


def refusal(text: str, limits: InputLimits = LIMITS) -> str:
    """The sentence with which `text` is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        strict_json.loads(text, limits)
    return str(caught.value)


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    """JSON of exactly this depth."""
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    "text",
    [
        '{"a":[1,-2.5e3,"x",null,true,false,{}]}',
        '"\\u00e9\\n\\ud83d\\ude00"',
        "[]",
        " 1 ",
        '{"[":"]]]","{":"\\"[["}',
        '["' + "[" * 100 + '"]',
        '["\\"' + "{[" * 100 + '"]',
        "[" + "[]," * 100 + "[]]",
        "[" + "{}," * 100 + "[[]]]",
    ],
    ids=lambda text: text[:30],
)
def test_ordinary_json_is_read_as_python_reads_it(text: str) -> None:
    """JSON within the limits has the value that the json module gives it; brackets in strings are no nesting."""
    assert json.loads(text) == strict_json.loads(text, LIMITS)


def test_a_large_limit_of_depth_costs_nothing() -> None:
    """Rounds that take nothing off are not made."""
    limits = replace(LIMITS, max_json_depth=10**9)

    assert json.loads(nested(200)) == strict_json.loads(nested(200), limits)


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])  # noqa: PT006
def test_depth_is_limited(opening: str, closing: str) -> None:
    """The limit itself passes and one level more is refused, whatever else the text contains."""
    limits = replace(LIMITS, max_json_depth=8)
    middle = "1" if closing == "}" else ""
    padding = '"x",[],{},' * 10

    for depth in (7, 8):
        text = f"[{padding}{opening * (depth - 1)}{middle}{closing * (depth - 1)}]"
        assert json.loads(text) == strict_json.loads(text, limits)
    too_deep = f"[{padding}{opening * 8}{middle}{closing * 8}]"
    assert "nested deeper than the limit of 8 levels (setting max_json_depth)" in refusal(too_deep, limits)


def test_alternating_brackets_count_each_level() -> None:
    """Lists in objects in lists are as deep as they look."""
    limits = replace(LIMITS, max_json_depth=8)

    assert json.loads('[{"a":' * 4 + "1" + "}]" * 4) == strict_json.loads('[{"a":' * 4 + "1" + "}]" * 4, limits)
    assert "nested deeper" in refusal('[{"a":' * 5 + "1" + "}]" * 5, limits)


@pytest.mark.parametrize("depth", [33, 100, 9_000, 250_000])
@pytest.mark.parametrize("closing", ["]", ""])
def test_deep_nesting_is_refused(depth: int, closing: str) -> None:
    """However deep the text is, and whether or not it ends, it is refused with a sentence."""
    assert "setting max_json_" in refusal(nested(depth, closing=closing))


def test_a_limit_beyond_the_parser_is_still_safe() -> None:
    """A depth limit that Python's parser cannot reach does not become a RecursionError."""
    assert "nested deeper than the limit of 30000" in refusal(nested(20_000), replace(LIMITS, max_json_depth=30_000))


def test_brackets_in_the_wrong_order_are_broken_json() -> None:
    """Brackets that do not match are reported as broken JSON, not as deep JSON."""
    with pytest.raises(InvalidJsonError, match="line 1, column 3"):
        strict_json.loads("[]" + "][" * 40, LIMITS)


def test_number_of_strings_is_limited() -> None:
    """The limit passes, one string more is refused; escaped quotes are not strings, keys are."""
    limits = replace(LIMITS, max_json_strings=20)

    for count in (19, 20):
        text = json.dumps(['"' * 10] * count)
        assert json.loads(text) == strict_json.loads(text, limits)
    for text in (json.dumps(["a"] * 21), json.dumps({str(key): "a" for key in range(11)})):
        assert "more than 20 strings (setting max_json_strings)" in refusal(text, limits)


def test_number_of_values_is_limited() -> None:
    """Numbers and empty lists may be four times as many as strings."""
    limits = replace(LIMITS, max_json_strings=20)

    for count in (79, 80):
        text = json.dumps([0] * count)
        assert json.loads(text) == strict_json.loads(text, limits)
    for text in (json.dumps([0] * 81), json.dumps([[]] * 41)):
        assert "more than 80 values" in refusal(text, limits)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":1,"a":1}', "the key 'a' twice"),
        ('[{"b":{"a":1,"c":2,"\\u0061":3}}]', "the key 'a' twice"),
        ('{"\\n":1,"\\n":2}', "the key '\\n' twice"),
        ("[1e999]", "The number 1e999 in the body is too large"),
        ("-1e999", "The number -1e999 in the body is too large"),
        ("1" * 4301, "more than 4300 digits"),
        ("1" * 100_000, "more than 4300 digits"),
        ("[0." + "1" * 100_000 + "]", "more than 4300 digits"),
        ('"\\ud800"', "half of a surrogate pair (\\ud800)"),
        ('"a\\uDC00b"', "half of a surrogate pair (\\udc00)"),
        ('{"\\ud83d":1}', "half of a surrogate pair (\\ud83d)"),
        ('["\\ude00\\ud83d"]', "`[0]` has half of a surrogate pair (\\ude00)"),
        ('{"inputs": ["a", {"text": "b", "text_pair": "\\ud83d"}]}', "`inputs[1].text_pair` has half of a surrogate"),
    ],
    ids=lambda text: text[:30],
)
def test_json_that_python_would_take_is_refused(text: str, words: str) -> None:
    """Duplicate keys, infinite numbers, endless numbers and half characters are refused, and not as raw text."""
    sentence = refusal(text)

    assert words in sentence
    assert "not valid JSON" not in sentence


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a":-Infinity}', "{'a':1}", "[1,]", "01", "", "\ufeff1", "+1"])
def test_what_is_no_json_is_told_apart(text: str) -> None:
    """Text that is not JSON is refused as such, because it may be an input by itself."""
    with pytest.raises(InvalidJsonError):
        strict_json.loads(text, LIMITS)


def test_numbers_of_the_longest_length_are_read() -> None:
    """4,300 digits are allowed, as in Python."""
    assert int("1" * 4300) == strict_json.loads("1" * 4300, LIMITS)


@pytest.mark.parametrize(
    "unit",
    ["[],", '{"a":', "[", "{},", '"",', "1,", "1e1,", '\\"', '"\\"', '"\\', "1", "\\ud800", '{"a":[', "]", "}{"],
)
@pytest.mark.parametrize("start", ["", "[", '"'])
def test_two_mebibytes_of_anything_are_refused_or_read(start: str, unit: str) -> None:
    """A body of the largest size made of one hostile piece never brings more than a refusal."""
    text = start + unit * ((MIB_2 - 1) // len(unit))

    assert refusal(text)
