"""Parameters and options are read as contract section 3.3 says."""

import json
from typing import Any

import pytest

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.interface import Interface
from labeld.types import ClassifyRequest, Options, Parameters
from tests.support.requests_read import parse_request

LIMITS = InputLimits()


def parse(more: dict[str, Any], headers: dict[str, str] | None = None, query: str = "") -> ClassifyRequest:
    """The request for one text, with `more` beside `inputs`."""
    return parse_request(json.dumps({"inputs": "a"} | more).encode(), headers or {}, query, LIMITS)


def refusal(more: dict[str, Any], headers: dict[str, str] | None = None, query: str = "") -> str:
    """The sentence with which the request is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(more, headers, query)
    return caught.value.sentence(Interface.HTTP)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Parameters()),
        ({}, Parameters()),
        ({"top_k": None}, Parameters()),
        ({"top_k": 1}, Parameters(top_k=1)),
        ({"top_k": 10**30}, Parameters(top_k=2**31 - 1)),
        ({"function_to_apply": None}, Parameters()),
        ({"function_to_apply": "sigmoid"}, Parameters(function_to_apply="sigmoid")),
        ({"function_to_apply": "SoftMax"}, Parameters(function_to_apply="softmax")),
        ({"function_to_apply": "NONE"}, Parameters(function_to_apply="none")),
        ({"truncation": True}, Parameters(truncation="longest_first")),
        ({"truncation": False}, Parameters()),
        ({"truncation": None}, Parameters()),
        ({"truncation": "longest_first"}, Parameters(truncation="longest_first")),
        ({"truncation": "only_first"}, Parameters(truncation="only_first")),
        ({"truncation": "only_second"}, Parameters(truncation="only_second")),
        ({"truncation": "do_not_truncate"}, Parameters()),
        ({"max_length": 8}, Parameters(truncation="longest_first", max_length=8)),
        ({"max_length": None}, Parameters()),
        ({"max_length": 8, "truncation": None}, Parameters(truncation="longest_first", max_length=8)),
        ({"max_length": 8, "truncation": "only_second"}, Parameters(truncation="only_second", max_length=8)),
        ({"max_length": 8, "truncation": False}, Parameters()),
        ({"max_length": 8, "truncation": "do_not_truncate"}, Parameters()),
        ({"return_all_scores": True}, Parameters()),
        ({"return_all_scores": None}, Parameters()),
        ({"return_all_scores": False}, Parameters(top_k=1)),
        ({"return_all_scores": False, "top_k": 3}, Parameters(top_k=3)),
        ({"return_all_scores": False, "top_k": None}, Parameters()),
        ({"return_all_scores": True, "top_k": 2}, Parameters(top_k=2)),
    ],
    ids=repr,
)
def test_parameters(given: dict[str, Any] | None, expected: Parameters) -> None:
    """Every parameter means what transformers makes of it; null is the same as not given."""
    request = parse({"parameters": given})

    assert (expected, ()) == (request.parameters, request.ignored)


@pytest.mark.parametrize("name", ["top_k", "max_length", "stride"])
def test_a_whole_number_may_have_a_fraction_of_nothing(name: str) -> None:
    """JSON libraries of several languages write 3 as 3.0, wherever they put it."""
    expected = parse({"parameters": {name: 3}}).parameters
    assert Parameters() != expected

    assert [expected] * 2 == [parse({"parameters": {name: value}}).parameters for value in (3.0, 30e-1)]
    assert expected == parse({name: 3.0}).parameters
    assert expected == parse({}, query=f"{name}=3.0").parameters
    assert expected == parse_request(f"inputs=a&{name}=3.0".encode(), {}, "", LIMITS).parameters
    if name == "top_k":
        assert Parameters(top_k=100) == parse_request(b'{"inputs": "a", "top_k": 1e2}', {}, "", LIMITS).parameters


@pytest.mark.parametrize(
    ("beside", "expected", "ignored"),
    [
        ({"top_k": 1}, Parameters(top_k=1), ()),
        ({"top_k": 1, "function_to_apply": "none", "parameters": {}}, Parameters(1, "none"), ()),
        ({"top_k": 1, "parameters": {"function_to_apply": "none"}}, Parameters(1, "none"), ()),
        ({"top_k": 1, "parameters": {"top_k": 2}}, Parameters(top_k=2), ("top_k",)),
        ({"top_k": 2, "parameters": {"top_k": 2}}, Parameters(top_k=2), ()),
        ({"return_all_scores": False}, Parameters(top_k=1), ()),
        ({"model": "org/name", "stream": True}, Parameters(), ()),
    ],
)
def test_parameters_beside_the_inputs_count(
    beside: dict[str, Any], expected: Parameters, ignored: tuple[str, ...]
) -> None:
    """Known names count where several clients put them; where `parameters` says otherwise it wins, with a warning."""
    request = parse(beside)

    assert (expected, ignored) == (request.parameters, request.ignored)


@pytest.mark.parametrize("value", [0, -1, True, False, "2", 2.5, [], {}])
@pytest.mark.parametrize("name", ["top_k", "max_length"])
def test_counts_must_be_positive_whole_numbers(name: str, value: Any) -> None:
    """Zero, negative numbers, booleans, strings and fractions are refused with the field and what is allowed."""
    assert f"`parameters.{name}` must be a whole number from 1, or null for " in refusal({"parameters": {name: value}})


@pytest.mark.parametrize("value", ["default", "", "FOO", 1, True, ["softmax"]])
def test_unknown_functions_are_refused(value: Any) -> None:
    """Anything but the three names is refused, and the sentence has all three."""
    expected = "`parameters.function_to_apply` must be sigmoid, softmax, none, or null for the model's own default"

    assert refusal({"parameters": {"function_to_apply": value}}).startswith(expected)


@pytest.mark.parametrize("value", ["LONGEST_FIRST", "true", 1, 0, {}, []])
def test_unknown_truncations_are_refused(value: Any) -> None:
    """Only booleans and the strategies' exact names are allowed."""
    assert "`parameters.truncation` must be true, false, longest_first, " in refusal(
        {"parameters": {"truncation": value}}
    )


@pytest.mark.parametrize("value", ["true", 1, []])
def test_return_all_scores_is_a_boolean(value: Any) -> None:
    """The old name for top_k takes true, false or null."""
    sentence = refusal({"parameters": {"return_all_scores": value}})

    assert sentence.startswith("`parameters.return_all_scores` must be true or false, but is ")


@pytest.mark.parametrize("name", ["parameters", "options"])
@pytest.mark.parametrize("value", [[], "a", 1, False])
def test_parameters_and_options_are_objects(name: str, value: Any) -> None:
    """Anything but an object or null is refused with the name of the field."""
    assert refusal({name: value}).startswith(f"`{name}` must be an object, but is ")


def test_unknown_parameters_are_ignored_and_listed_once() -> None:
    """Harmless and unknown parameters, and keys beside text and text_pair, are listed in the order of their sight."""
    pairs = [{"text": "a", "padding": True}, {"text": "b", "text_pair": "c", "stride": 2, "padding": 1}]

    request = parse({"inputs": pairs, "parameters": {"top_k": 1, "batch_size": 8, "padding": True, "foo": None}})

    assert ("inputs.padding", "inputs.stride", "batch_size", "padding", "foo") == request.ignored


def test_a_key_beside_a_lone_text_is_listed() -> None:
    """A tokenizer's argument beside `text` alone is ignored and listed as well."""
    assert ("inputs.truncation",) == parse({"inputs": {"text": "a", "truncation": True}}).ignored


def test_unknown_top_level_keys_mean_nothing() -> None:
    """@huggingface/inference 3 sends `model`; nobody is warned."""
    assert parse({}) == parse({"model": "org/name", "stream": False})


def test_query_parameters_are_parameters_as_in_era_b() -> None:
    """Without `parameters` in the body, known names in the query count: digits as numbers, true and false as such."""
    request = parse({}, query="top_k=2&function_to_apply=sigmoid&truncation=True&max_length=9&utm=x&padding=true")

    assert (Parameters(2, "sigmoid", "longest_first", 9), ()) == (request.parameters, request.ignored)


def test_query_parameters_apply_to_raw_text() -> None:
    """Raw text cannot carry parameters, so the query may."""
    assert Parameters(top_k=1) == parse_request(b"Some", {}, "top_k=1", LIMITS).parameters


@pytest.mark.parametrize("given", [{"parameters": {}}, {"parameters": None}, {"parameters": {"max_length": 9}}])
def test_parameters_in_the_body_win_over_the_query(given: dict[str, Any]) -> None:
    """A body with `parameters`, even empty, is read alone, and what the query says else is named in the reply.

    It used to be dropped in silence, and the answer had other labels than were asked for.
    """
    request = parse(given, query="top_k=2&top_k=3&max_length=9&utm=x")

    assert parse(given).parameters == request.parameters
    same = given["parameters"] == {"max_length": 9}
    assert (("query.top_k",) if same else ("query.top_k", "query.max_length")) == request.ignored


@pytest.mark.parametrize("name", ["use_cache", "wait_for_model", "dont_load_model"])
@pytest.mark.parametrize("more", [{}, {"parameters": {}}, {"options": {"use_cache": True}}])
def test_options_in_the_query_mean_nothing(name: str, more: dict[str, Any]) -> None:
    """Only the body and headers have them; who puts them there is told."""
    request = parse(more, query=f"{name}=false")

    assert (Options(), (f"query.{name}",)) == (request.options, request.ignored)


def test_the_query_counts_beside_a_form_without_parameters() -> None:
    """As beside raw text; the form's own fields win."""
    assert Parameters(top_k=1) == parse_request(b"inputs=a", {}, "top_k=1", LIMITS).parameters
    request = parse_request(b"inputs=a&top_k=2", {}, "top_k=1", LIMITS)
    assert (Parameters(top_k=2), ("query.top_k",)) == (request.parameters, request.ignored)


@pytest.mark.parametrize(
    "query",
    [
        "top_k=",
        "top_k=0",
        "top_k=1.5",
        "top_k=two",
        "top_k=%D9%A3",
        "top_k=%FF",
        "top_k=" + "9" * 5000,
        "top_k=1&top_k=1",
        "function_to_apply=foo",
        "truncation=1",
        "return_all_scores=yes",
    ],
    ids=lambda query: query[:20],
)
def test_wrong_query_parameters_are_refused(query: str) -> None:
    """The query is held to the same rules as the body, and a name given twice is refused."""
    assert query.partition("=")[0] in refusal({}, query=query)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (None, {}, Options()),
        ({}, {}, Options()),
        ({"use_cache": False}, {}, Options(use_cache=False)),
        ({"use_cache": None, "wait_for_model": None, "dont_load_model": None}, {}, Options()),
        ({"wait_for_model": 1, "use_cache": "False"}, {}, Options(wait_for_model=True, use_cache=False)),
        ({"dont_load_model": True}, {}, Options(load_model=False)),
        ({"dont_load_model": False}, {}, Options(load_model=True)),
        ({"use_gpu": "maybe", "retry_on_error": [], "load_model": 7}, {}, Options()),
        ({}, {"x-use-cache": "0"}, Options(use_cache=False)),
        ({}, {"x-use-cache": " FALSE "}, Options(use_cache=False)),
        ({}, {"x-wait-for-model": "1"}, Options(wait_for_model=True)),
        ({}, {"x-wait-for-model": "True"}, Options(wait_for_model=True)),
        ({}, {"x-load-model": "0"}, Options(load_model=False)),
        ({}, {"x-use-gpu": "maybe"}, Options()),
        ({"use_cache": False}, {"x-use-cache": "true"}, Options()),
        ({"dont_load_model": True}, {"x-load-model": "1"}, Options()),
        ({"wait_for_model": True}, {"x-wait-for-model": "0"}, Options()),
    ],
    ids=repr,
)
def test_options(body: dict[str, Any] | None, headers: dict[str, str], expected: Options) -> None:
    """Options come from the body and from headers; a header wins, and unknown keys mean nothing."""
    assert expected == parse({"options": body}, headers).options


@pytest.mark.parametrize(
    ("beside", "expected", "ignored"),
    [
        ({"wait_for_model": True}, Options(wait_for_model=True), ()),
        ({"use_cache": False, "options": {}, "parameters": {}}, Options(use_cache=False), ()),
        ({"use_cache": False, "options": {"use_cache": True}}, Options(), ("use_cache",)),
        ({"options": {"dont_load_model": True, "top_k": 1}}, Options(load_model=False), ("options.top_k",)),
    ],
)
def test_options_beside_the_inputs_count(beside: dict[str, Any], expected: Options, ignored: tuple[str, ...]) -> None:
    """As parameters do; a parameter among the options means nothing, and the reply says so."""
    request = parse(beside)

    assert (expected, ignored) == (request.options, request.ignored)


@pytest.mark.parametrize("header", ["x-use-cache", "x-wait-for-model", "x-load-model"])
@pytest.mark.parametrize("value", ["yes", "", "2", "null"])
def test_wrong_option_headers_are_refused(header: str, value: str) -> None:
    """A header that is neither true nor false is refused with its name."""
    assert f"`the header {header}` must be true, false, 1 or 0, but is {value!r}." == refusal({}, {header: value})


@pytest.mark.parametrize("name", ["use_cache", "wait_for_model", "dont_load_model"])
@pytest.mark.parametrize("value", ["yes", 2, 1.0, [], {}])
def test_wrong_options_are_refused(name: str, value: Any) -> None:
    """An option of the body that is neither true nor false is refused with its name."""
    assert f"`options.{name}` must be true, false, 1 or 0, but is " in refusal({"options": {name: value}})
