"""Requests are read as contract sections 2 and 3 say: recorded bodies, shapes of `inputs`, raw text."""

import contextlib
import gzip
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labeld.config.settings import InputLimits
from labeld.errors import BodyTooLargeError, InvalidRequestError, UnsupportedEncodingError
from labeld.interface import Interface
from labeld.types import ClassifyRequest, Options, Parameters, Text
from tests.support.requests_read import parse_request

LIMITS = InputLimits()
JSON = {"content-type": "application/json"}
RECORDED = json.loads(Path(__file__).with_name("contract").joinpath("requests.json").read_text())
RAW_TYPES = ["", "text/plain", "text/plain;charset=UTF-8", "Text/CSV", "application/x-www-form-urlencoded"]


def parse(value: Any, headers: dict[str, str] = JSON, limits: InputLimits = LIMITS) -> ClassifyRequest:
    """The request whose body is `value`: bytes as they are, anything else as JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse_request(body, headers, "", limits)


def refusal(value: Any, headers: dict[str, str] = JSON, limits: InputLimits = LIMITS) -> str:
    """The sentence with which the body is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(value, headers, limits)
    return caught.value.sentence(Interface.HTTP)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["client"])
def test_recorded_clients_are_understood(case: dict[str, Any]) -> None:
    """Every body that a client is known to send means what that client meant, and nothing in it is warned about."""
    expected = ClassifyRequest(
        (Text("hi"),), Parameters(**case.get("parameters", {})), Options(**case.get("options", {}))
    )

    assert expected == parse_request(case["body"].encode(), case["headers"], "", LIMITS)


@pytest.mark.parametrize(
    ("inputs", "texts"),
    [
        ("s", [Text("s")]),
        ("", [Text("")]),
        ("a\0b", [Text("a\0b")]),
        (["s"], [Text("s")]),
        (["s1", "s2"], [Text("s1"), Text("s2")]),
        ({"text": "a", "text_pair": "b"}, [Text("a", "b")]),
        ({"text": "a"}, [Text("a")]),
        ({"text": "a", "text_pair": ""}, [Text("a")]),
        ({"text": "a", "text_pair": None}, [Text("a")]),
        ([{"text": "a", "text_pair": "b"}, {"text": "c", "text_pair": "d"}], [Text("a", "b"), Text("c", "d")]),
        (["a", {"text": "b", "text_pair": "c"}], [Text("a"), Text("b", "c")]),
        ([], []),
    ],
)
def test_shapes_of_inputs(inputs: Any, texts: list[Text]) -> None:
    """A string, a pair, or a list of either becomes that many texts (contract section 3.2)."""
    assert ClassifyRequest(tuple(texts)) == parse({"inputs": inputs})


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([["a", "b"]], ["`inputs[0]`", '{"text": "...", "text_pair": "..."}']),
        ([[["a", "b"]]], ["`inputs[0]`", '{"text": "...", "text_pair": "..."}']),
        ({"text": ["a", "b"]}, ["`inputs.text`", "a string", "a list"]),
        ({"query": "a", "texts": ["b"]}, ["`inputs.text` is missing"]),
        ({}, ["`inputs.text` is missing"]),
        ({"text": None}, ["`inputs.text`", "null"]),
        ({"text": "a", "text_pair": ["b"]}, ["`inputs.text_pair`", "a list"]),
        (["a", "b", "c", {"text": "d", "text_pair": 7}], ["`inputs[3].text_pair`", "7"]),
        ([{"text_pair": "b"}], ["`inputs[0].text` is missing"]),
        (["a", None], ["`inputs[1]`", "null"]),
        ([True], ["`inputs[0]`", "true"]),
        (["a", 1.5], ["`inputs[1]`", "1.5"]),
        (5, ["`inputs`", "5"]),
        (None, ["`inputs`", "null"]),
        (False, ["`inputs`", "false"]),
    ],
)
def test_shapes_that_are_refused_name_the_place(inputs: Any, words: list[str]) -> None:
    """A value that is no text is refused with its place, its kind, and the form to send instead."""
    sentence = refusal({"inputs": inputs})

    assert [] == [word for word in words if word not in sentence]


def test_number_of_texts_is_limited() -> None:
    """One text less than the limit and the limit itself pass; one more is refused with both numbers and the setting."""
    limits = replace(LIMITS, max_inputs=3)

    assert [2, 3] == [len(parse({"inputs": ["a"] * count}, limits=limits).texts) for count in (2, 3)]
    assert "`inputs` has 4 texts, more than the limit of 3 (setting max_inputs): send several requests." == refusal(
        {"inputs": ["a"] * 4}, limits=limits
    )


def test_body_size_is_limited() -> None:
    """A body of the limit passes; one byte more is refused."""
    limits = replace(LIMITS, max_body_bytes=20)

    assert ClassifyRequest((Text("a" * 20),)) == parse(b"a" * 20, {}, limits)
    with pytest.raises(BodyTooLargeError, match="max_body_bytes"):
        parse(b"a" * 21, {}, limits)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'"I like you"', "I like you"),
        (b"42", "42"),
        (b"-1.50", "-1.5"),
        (b'\xef\xbb\xbf{"inputs":"bom"}', "bom"),
        (b' \n{"inputs":"space"}\r\n', "space"),
        (b'{"inputs":"\\ud83d\\ude00 \\\\ud800"}', "\U0001f600 \\ud800"),
    ],
)
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/octet-stream", ""])
def test_json_is_json_whatever_its_type(body: bytes, text: str, media_type: str) -> None:
    """A body that is JSON is read as JSON under every Content-Type, and without one."""
    assert ClassifyRequest((Text(text),)) == parse(body, {"content-type": media_type})


def test_a_list_is_itself_the_inputs() -> None:
    """JSON without an object around it is itself the input."""
    assert ClassifyRequest((Text("a"), Text("b", "c"))) == parse(["a", {"text": "b", "text_pair": "c"}])


@pytest.mark.parametrize("media_type", RAW_TYPES)
@pytest.mark.parametrize(
    "text",
    [
        "Some",
        " keeps its spaces\n",
        "true story",
        "007",
        "NaN",
        "-Infinity",
        "é 😀",
        "a" + "[" * 50,
        "x" + '"' * 50_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_raw_text_is_the_input(text: str, media_type: str) -> None:
    """A body that looks neither like JSON nor like a form is the text itself, where the Content-Type allows it."""
    headers = {"content-type": media_type} if media_type else {}

    assert ClassifyRequest((Text(text),)) == parse(text.encode(), headers)


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "image/png"])
@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"Some", "line 1, column 1"),
        (b'{"inputs": "a",}', "line 1, column 16"),
        (b'{\n"inputs": }', "line 2, column 11"),
        (b'{"inputs":"a"} b', "line 1, column 16"),
        (b'{"inputs":"a\nb"}', "line 1, column 13"),
        (b'{"inputs":NaN}', "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
    ],
)
def test_broken_json_is_refused_with_its_place(body: bytes, where: str, media_type: str) -> None:
    """Under a type that is not text, broken JSON is refused, saying where it breaks."""
    sentence = refusal(body, {"content-type": media_type})

    assert f'The body is not valid JSON ({where}): send {{"inputs": "some text"}}.' == sentence


@pytest.mark.parametrize("headers", [JSON, {}, {"content-type": "text/plain"}])
@pytest.mark.parametrize("body", [b"", b" ", b"\n\t ", b"\xef\xbb\xbf", "\u00a0\u2003".encode()])
def test_an_empty_body_is_refused(body: bytes, headers: dict[str, str]) -> None:
    """Nothing, or nothing but white space, is no request under any type."""
    assert 'The body is empty: send {"inputs": "some text"}.' == refusal(body, headers)


@pytest.mark.parametrize("value", [{}, {"text": "a", "text_pair": "b"}, {"parameters": {}}])
def test_an_object_without_inputs_is_refused(value: dict[str, Any]) -> None:
    """An object must have `inputs`; the legacy InferenceApi leaves it out for an empty text and gets the reason."""
    assert 'The body has no `inputs`: send {"inputs": "some text"}.' == refusal(value)


@pytest.mark.parametrize("body", [b"null", b"true", b"false"])
def test_a_bare_constant_is_refused(body: bytes) -> None:
    """null, true and false are no texts."""
    assert f'The body is {body.decode()}: send {{"inputs": "some text"}}.' == refusal(body)


@pytest.mark.parametrize("media_type", RAW_TYPES)
@pytest.mark.parametrize(
    "body",
    [
        "{'inputs': 'x'}",
        '{"inputs": "x"',
        '"inputs": "x"}',
        "'inputs' : 'x'",
        ' "parameters":{}, "inputs": "x"}',
        '{"inputs": "an "unescaped" quote"}',
        '["a", NaN]',
        "[1, 2",
        "[SEP] a",
    ],
)
def test_what_begins_as_json_is_never_a_text(body: str, media_type: str) -> None:
    """A slip in JSON is refused under every Content-Type, because its score would be that of the wrong text."""
    headers = {"content-type": media_type} if media_type else {}

    assert "The body is not valid JSON" in refusal(body.encode(), headers)


WHOLE = [
    '{"inputs": ["good film", "it\'s \\"bad\\", or not"], "parameters": {"top_k": 1, "truncation": "only_first"}}',
    '{"parameters":{"max_length":9},"inputs":{"text":"x","text_pair":""},"options":{}}',
    '["good film", "bad film"]',
    '[{"text": "a: b", "text_pair": "c"}, "d"]',
]


@pytest.mark.parametrize("media_type", RAW_TYPES)
@pytest.mark.parametrize("whole", WHOLE)
def test_json_without_its_beginning_is_never_a_text(whole: str, media_type: str) -> None:
    """However much is lost of it, as long as the end of a string is left, and what closes it."""
    for first in range(1, whole.rindex('"') + 1):
        for end in ("", "\n", ";"):
            assert "The body is not valid JSON" in refusal(
                f"{whole[first:]}{end}".encode(), {"content-type": media_type}
            ), whole[first:]


@pytest.mark.parametrize("media_type", RAW_TYPES)
@pytest.mark.parametrize(
    "body",
    [
        '"good film", "bad film"]',
        '"good film",\n"bad film",\n]',
        "'good film', 'bad film']",
        "“good film”, “bad film”]",
        '"top_k":1,"inputs":"x"}',
        '"text":"x"}',
        '"text": "x"',
        '"top_k": 1, "inputs": "x',
        '\\"inputs\\": \\"x\\"}',
        "“inputs”: “x”",
        'inputs: "x"}',
        'inputs: "x"',
        "inputs: ['a', 'b']",
        'top_k: null, inputs: "x"}',
        "'top_k': None, 'inputs': 'x'}",
        "nputs: ['good film', 'bad film'], parameters: {top_k: 1}}",
        "film', 'bad film'], parameters: {top_k: 1}}",
        '"score": NaN}',
        "}",
        "'{inputs:good}'",
        "'{inputs:good",
        '\'{"inputs": "x"}\'',
        'b\'{"inputs": "x"}\'',
        '`{"inputs": "x"}`',
        '```json\n{"inputs": "x"}\n```',
        'payload = {"inputs": "x"}',
        'const body = {inputs: "x"};',
        'data: {"inputs": "x"}\n\n',
        '\u200b{"inputs": "x"}',
        '\ufeff\ufeff{"inputs": "x"}',
        '\0{\0"\0i\0n\0p\0u\0t\0s\0"\0:\0"\0x\0"\0}',
        '--b\r\nContent-Disposition: form-data; name="inputs"\r\n\r\nx\r\n--b--\r\n',
    ],
)
def test_what_was_meant_as_json_is_never_a_text(body: str, media_type: str) -> None:
    """With a part of it lost, with something around it, or in the notation of another language."""
    assert "The body is not valid JSON" in refusal(body.encode(), {"content-type": media_type})


@pytest.mark.parametrize("media_type", RAW_TYPES)
@pytest.mark.parametrize(
    "text",
    [
        '"Great film," said the critic.',
        '"Great film": that is what the critic said.',
        '"a" "b"',
        '"a", "b"',
        "'Great', 'awful': nobody agrees",
        "x = y",
        "wait: what?",
        'wait: "what?"',
        "inputs: two of them",
        "options: 3 of 5",
        "text: the film",
        "good :]",
        "good :}",
        ':"]',
        'good :"]',
        "I cried :']",
        'He said [and I quote: "wow"]',
        'He called it "great" [see "Films"]',
        '"Great film" [5]',
        "ratings: [1, 2, 3]",
        'see {"inputs": "x"} in the guide',
        'Send this: {"inputs": "x"} and wait.',
        "'{}' is a set, or is it?",
        '"{name}", he said',
        "color: red}",
        "-- and that was it",
        "a: b; c: d",
        "5 out of 5",
        "50% off",
    ],
)
def test_prose_with_quotes_and_colons_is_a_text(text: str, media_type: str) -> None:
    """What people write looks like a part of JSON only at its beginning."""
    assert ClassifyRequest((Text(text),)) == parse(text.encode(), {"content-type": media_type})


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
@pytest.mark.parametrize("value", [{"inputs": "x"}, {"inputs": ["a"], "parameters": {}}, ["a", {"text": "b"}]])
def test_json_that_was_encoded_twice_is_refused(value: Any, content_type: str) -> None:
    """As by `requests.post(url, json=json.dumps(…))`: the string is not what should be classified."""
    twice = json.dumps(json.dumps(value)).encode()

    assert "JSON that was encoded twice" in refusal(twice, {"content-type": content_type})


@pytest.mark.parametrize("text", ["{}", "[]", "[1]", "[sic]", '{"a": 1}', "{inputs} and outputs", '{"inputs'])
def test_a_string_may_have_brackets(text: str) -> None:
    """It is a text unless all of it is a request."""
    assert ClassifyRequest((Text(text),)) == parse(text)


@pytest.mark.parametrize(
    "hostile",
    [
        '"' * 500_000 + "]",
        '"\\' * 250_000 + "]",
        '"a",' * 250_000 + "]x]",
        "a:" * 250_000 + "}",
        "[" + "x",
        " " * 1_000_000 + "]}",
        "x[" * 250_000 + "]" * 250_000 + "]",
        "a " * 250_000 + ":}",
        ("a" * 39 + " ") * 12_000 + "= {}",
        "a=" * 250_000 + "}",
    ],
    ids=lambda hostile: hostile[:9],
)
def test_hostile_text_takes_no_time(hostile: str) -> None:
    """However it was made, it is read or refused; a pattern that went back and forth would need hours."""
    with contextlib.suppress(InvalidRequestError):
        assert ClassifyRequest((Text(hostile),)) == parse(hostile.encode(), {})


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("inputs=a+film", ClassifyRequest((Text("a film"),))),
        ("inputs=caf%C3%A9%20%26%20%2B", ClassifyRequest((Text("café & +"),))),
        ("inputs=a=b", ClassifyRequest((Text("a=b"),))),
        ("inputs=", ClassifyRequest((Text(""),))),
        ("inputs=a&inputs=b", ClassifyRequest((Text("a"), Text("b")))),
        ("inputs[]=a&inputs[]=b", ClassifyRequest((Text("a"), Text("b")))),
        ("inputs%5B%5D=a", ClassifyRequest((Text("a"),))),
        ("inputs=a&top_k=1&function_to_apply=none", ClassifyRequest((Text("a"),), Parameters(1, "none"))),
        ("inputs=a&wait=1\n", ClassifyRequest((Text("a"),), ignored=("wait",))),
    ],
)
def test_a_form_is_read(form: str, expected: ClassifyRequest) -> None:
    """Fields named `inputs` or `inputs[]` are the texts, and the others are parameters."""
    assert expected == parse(form.encode(), FORM)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ("text=a+film", "The form has no field `inputs`"),
        ("a=b", "The form has no field `inputs`"),
        ("inputs=a&top_k=1&top_k=2", "The form has a field twice"),
        ("inputs=%ff", "The form is not UTF-8"),
        ("inputs=a&top_k=many", "`parameters.top_k` must be a whole number"),
        ("inputs=I like you", "The form has spaces, so its fields are not encoded"),
        ("inputs[]=a film&inputs[]=b", "The form has spaces"),
        ("top_k=1&INPUTS%5b%5d=a film & more", "The form has spaces"),
        ("%7B%22inputs%22%3A%22x%22%7D", "The form has no field `inputs`"),
        ("%5b%22a%22%5d=", "The form has no field `inputs`"),
        ("text=I like you", "The form has spaces"),
        ("inputs[0]=a film&inputs[1]=b", "The form has spaces"),
    ],
)
def test_a_form_that_says_nothing_is_refused(form: str, sentence: str) -> None:
    """A form without texts is no text itself: the sentence says how to send one."""
    assert sentence in refusal(form.encode(), FORM)


def test_a_form_needs_no_type() -> None:
    """As requests sends a form that was put together by hand; under text/plain it is text."""
    assert ClassifyRequest((Text("a film"),), Parameters(1)) == parse(b"top_k=1&inputs=a+film", {})
    assert ClassifyRequest((Text("inputs=a"),)) == parse(b"inputs=a", {"content-type": "text/plain"})
    assert ClassifyRequest((Text("a=b"),)) == parse(b"a=b", {})


@pytest.mark.parametrize(
    "form",
    [
        "inputs[0]=a&inputs[1]=b",
        "inputs%5B0%5D=a",
        "text=a+film",
        "top_k=1",
        "wait_for_model=true&text=a",
        "parameters[top_k]=1&text=a",
        "parameters.top_k=1",
        "%7B%22inputs%22%3A%22x%22%7D",
    ],
)
def test_a_form_without_inputs_is_no_text(form: str) -> None:
    """Where a name that means something here stands before an =, under a form's type or none."""
    for headers in ({}, FORM):
        assert "The form has no field `inputs`" in refusal(form.encode(), headers)
    assert ClassifyRequest((Text(form),)) == parse(form.encode(), {"content-type": "text/plain"})


SENTENCES = ["a = b", "1=2", "inputs are many", "x=1 and y=2", "https://example.org/?a=b", "see http://a/?b=1&inputs=2"]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_with_an_equals_sign_is_no_form(text: str) -> None:
    """Curl sends every text as a form unless a flag says otherwise."""
    assert ClassifyRequest((Text(text),)) == parse(text.encode(), FORM)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_gzip_is_unpacked(encoding: str) -> None:
    """A body that was packed in one or several members is read as if it were not."""
    body = gzip.compress(b'{"inputs": ', mtime=0) + gzip.compress(b'"a film"}')

    assert ClassifyRequest((Text("a film"),)) == parse(body, JSON | {"content-encoding": encoding})


def test_gzip_is_bounded_by_what_it_unpacks_to() -> None:
    """A small body that would fill the memory is refused with the limit, having been unpacked up to it only."""
    bomb = gzip.compress(b"[" + b" " * 20_000_000, mtime=0)

    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError, match="2097152 bytes"):
            parse(bomb, JSON | {"content-encoding": "gzip"})
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMITS.max_body_bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (gzip.compress(b"") * 100_000, "has more than 100 members"),
        (b"{}", "is not gzip"),
        (gzip.compress(b'{"inputs": "a"}', mtime=0)[:-4], "ends before its gzip does"),
        (b"\x1f\x8b", "ends"),
    ],
)
def test_broken_gzip_is_refused(body: bytes, sentence: str) -> None:
    """A body that is not gzip to its end is refused."""
    with pytest.raises(InvalidRequestError, match=sentence):
        parse(body, JSON | {"content-encoding": "gzip"})


@pytest.mark.parametrize("encoding", ["br", "deflate, gzip", "Identity, gzip"])
def test_compressed_bodies_are_refused(encoding: str) -> None:
    """Another Content-Encoding is refused before the body is looked at."""
    with pytest.raises(UnsupportedEncodingError, match="send the body uncompressed"):
        parse(b"\x1f\x8b", JSON | {"content-encoding": encoding})


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_identity_is_no_compression(encoding: str) -> None:
    """Content-Encoding identity means nothing."""
    assert ClassifyRequest((Text("a"),)) == parse({"inputs": "a"}, JSON | {"content-encoding": encoding})
