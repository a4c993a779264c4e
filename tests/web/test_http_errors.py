"""Wrong requests get a clear error, and the next good one an answer."""

import gzip
import http.client
import json
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support.server_process import Server

JSON = {"content-type": "application/json"}
MODEL = "/models/org/bert"
GOOD = b'{"inputs":"a"}'
LEAK = re.compile(r"Traceback|File \"|/site-packages|/tmp/|/src/|labeld/|\.py\b|/root|/home")
"""Text that no client may ever see."""


def refused(server: Server, status: int, path: str = MODEL, **options: Any) -> str:
    """The sentence of a refusal with this status, after which a good request is answered."""
    reply = server.session.request(options.pop("method", "POST"), server.url + path, timeout=60, **options)
    return checked(server, status, reply.status_code, reply.headers, reply.content)


def raw(server: Server, status: int, request: bytes) -> str:
    """As `refused`, for bytes that no client library would send."""
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(request)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return checked(server, status, reply.status, reply.headers, reply.read())


def checked(server: Server, status: int, actual: int, headers: Mapping[str, str], body: bytes) -> str:
    """The sentence of an error, whose form is that of every error; the next good request is answered."""
    assert (status, "application/json") == (actual, headers["content-type"]), body
    value = json.loads(body)
    sentence = value["error"]
    assert ["error"] == list(value)
    assert isinstance(sentence, str)
    assert sentence.encode("ascii", "backslashreplace")[:500].decode() == headers["x-error-message"]
    assert sentence.isprintable()
    assert headers["x-request-id"]
    assert str(len(body)) == headers["content-length"]
    assert LEAK.search(body.decode()) is None
    assert 1 == len(server.classify("good day"))
    return sentence


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"{", "not valid JSON (line 1, column 2)"),
        (b'{"inputs": "a"', "not valid JSON"),
        (b'{"inputs": "a"} x', "not valid JSON"),
        (b"{'inputs': 'a'}", "not valid JSON"),
        (b'{"inputs": "a\nb"}', "not valid JSON"),
        (b"\xc3\x28", "'utf-8' codec can't decode byte 0xc3 in position 0: invalid continuation byte"),
        (b"[" * 250_000, "max_json_strings"),
        (b'{"inputs": ' + b"[" * 250_000 + b"]" * 250_000 + b"}", "max_json_strings"),
        (b'{"a":' * 250_000 + b"1" + b"}" * 250_000, "max_json_strings"),
        (b'{"inputs": ' + b"[" * 100 + b"]" * 100 + b"}", "limit of 32"),
        (b'{"inputs": "\\ud800"}', "surrogate"),
        (b'{"inputs": "a\\udfff\\ud800b"}', "surrogate"),
        (b'{"inputs": "a", "\\udc00": 1}', "surrogate"),
        (b'{"inputs": "\xed\xa0\x80"}', "'utf-8' codec can't decode"),
        ('{"inputs": "a"}'.encode("utf-16"), "'utf-8' codec can't decode"),
        (b'{"inputs": NaN}', "NaN"),
        (b'{"inputs": "a", "parameters": {"top_k": -Infinity}}', "Infinity"),
        (b'{"inputs": "a", "parameters": {"top_k": 1e999}}', "1e999"),
        (b'{"inputs": "a", "inputs": "b"}', "'inputs' twice"),
        (b'{"inputs": "a", "parameters": {"top_k": 1, "top_k": 2}}', "'top_k' twice"),
        (b'{"inputs": ' + b"1" * 100_000 + b"}", "4300 digits"),
        (b"1" * 100_000, "4300 digits"),
        (b'{"inputs": "a", "parameters": {"top_k": 1' + b"0" * 3000 + b".5}}", "too large"),
        (b'{"parameters": {}}', "no `inputs`"),
        (b"{}", "no `inputs`"),
        (b"null", "The body is null"),
        (b"true", "The body is true"),
        (json.dumps({"inputs": ["a"] * 1001}).encode(), "1001 texts, more than the limit of 1000"),
        (b'{"inputs": [["a", "b"]]}', "text_pair"),
        (b'{"inputs": [["a", "b"], "c"]}', "inputs[0]"),
        (b'{"inputs": {"text_pair": "a"}}', "`inputs.text` is missing"),
        (b'{"inputs": ["a", {"text": "a", "text_pair": ["b"]}]}', "inputs[1].text_pair"),
    ],
)
def test_a_wrong_body_is_400(server: Server, body: bytes, expected: str) -> None:
    """The sentence names what is wrong and what is allowed."""
    assert expected in refused(server, 400, data=body, headers=JSON)


VALUES: list[Any] = [None, True, 0, 1, -1, 1.5, "x", "2", "", [], {}, ["a"]]


@pytest.mark.parametrize(
    ("place", "body", "allowed"),
    [
        ("inputs", lambda value: {"inputs": value}, ["x", "2", "", [], ["a"]]),
        ("inputs[1]", lambda value: {"inputs": ["a", value]}, ["x", "2", ""]),
        ("inputs.text", lambda value: {"inputs": {"text": value}}, ["x", "2", ""]),
        ("inputs[0].text", lambda value: {"inputs": [{"text": value, "text_pair": "a"}]}, ["x", "2", ""]),
        ("inputs.text_pair", lambda value: {"inputs": {"text": "a", "text_pair": value}}, [None, "x", "2", ""]),
        ("parameters", lambda value: {"inputs": "a", "parameters": value}, [None, {}]),
        ("options", lambda value: {"inputs": "a", "options": value}, [None, {}]),
        *(
            (f"parameters.{name}", lambda value, name=name: {"inputs": "a", "parameters": {name: value}}, allowed)
            for name, allowed in {
                "top_k": [None, 1],
                "function_to_apply": [None],
                "truncation": [None, True],
                "return_all_scores": [None, True],
            }.items()
        ),
        ("parameters.max_length", lambda value: {"inputs": "a", "parameters": {"max_length": value}}, [None]),
        ("options.use_cache", lambda value: {"inputs": "a", "options": {"use_cache": value}}, [None, True, 0, 1]),
    ],
)
def test_a_wrong_type_is_400(server: Server, place: str, body: Callable[[Any], Any], allowed: list[Any]) -> None:
    """At every place of a body each kind of value is either taken or refused by the place's name."""
    taken = [(type(value), value) for value in allowed]
    for value in VALUES:
        if (type(value), value) in taken:
            assert 200 == server.post(MODEL, json=body(value)).status_code, value
        else:
            assert place in refused(server, 400, json=body(value)).replace("max_length 1 ", place), value


def test_a_body_of_3_mb_is_413(server: Server) -> None:
    """Before the rest is read; the sentence has the limit and its setting."""
    sentence = refused(server, 413, data=b"x" * 3_000_000, headers=JSON)

    assert "2097152" in sentence
    assert "max_body_bytes" in sentence


def test_a_compressed_body_is_415(server: Server) -> None:
    """It is not unpacked."""
    assert "'br'" in refused(server, 415, data=gzip.compress(b"{}"), headers={"content-encoding": "br"})


@pytest.mark.parametrize("name", ["org/none", "none", "org%2Fnone", "org/none/"])
def test_an_unknown_model_is_404(server: Server, name: str) -> None:
    """In the words of the service's recordings."""
    known_as = "none" if name == "none" else "org/none"

    assert f"Model {known_as} does not exist" == refused(server, 404, f"/models/{name}", json={"inputs": "a"})


@pytest.mark.parametrize("prefix", [b"/models/", b"/pipeline/text-classification/", b"/hf-inference/models/"])
@pytest.mark.parametrize(
    "hostile",
    [
        b"../../etc/passwd",
        b"%2e%2e/%2e%2e/etc/passwd",
        b"..%2f..%2fetc%2fpasswd",
        b"org/../org/bert",
        b"org/./bert",
        b"./org/bert",
        b"org/bert/..",
        b"org//bert",
        b"org/bert/extra",
        b"org\\bert",
        b"org/bert%00",
        b"org/bert%0a",
        b"%0aorg/bert",
        b"org/bert%20",
        b"org/bert%23",
        b"ORG/BERT",
        b"https://example.org/bert",
        b"file:%2f%2f%2fetc%2fpasswd",
        b"%EF%BD%8Frg/bert",
        b"org/b%C3%A9rt",
        b"%ff%fe",
        b"%252e%252e",
        b"*/bert",
        b"org/*",
        b"~/bert",
        b"$HOME",
        b"x" * 5000,
        b"%2e" * 1600,
        b"a/" * 2500,
        b"",
    ],
)
def test_a_hostile_id_is_404(server: Server, prefix: bytes, hostile: bytes) -> None:
    """Sent as it is, without a client library that would tidy it up."""
    head = b"POST %s%s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"

    assert len(raw(server, 404, head % (prefix, hostile, len(GOOD)) + GOOD)) < 300


@pytest.mark.parametrize("path", ["/nothing", "/model", "/MODELS/org/bert", "/docs", "/api/datasets/org/bert"])
def test_an_unknown_path_is_404(server: Server, path: str) -> None:
    """The sentence says which paths there are."""
    assert refused(server, 404, path, json={"inputs": "a"}).startswith("There is nothing at this path")


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /models/org/bert\n HTTP/1.1",
        b"POST /models/org bert HTTP/1.1",
        b"POST models/org/bert HTTP/1.1",
        b"P\xc3\x96ST / HTTP/1.1",
        b"POST /models/org/b\xe9rt HTTP/1.1",
        b"POST / HTTP/9.9",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_is_400(server: Server, request_line: bytes) -> None:
    """A newline or a bare byte inside an id, a space, a missing slash, another protocol."""
    raw(server, 400, request_line + b"\r\nhost: localhost\r\ncontent-length: 14\r\n\r\n" + GOOD)


def test_an_ambiguous_name_is_400(server: Server) -> None:
    """The sentence has the choices."""
    assert "a/same, b/same" in refused(server, 400, "/models/same", json={"inputs": "a"})


def test_another_task_is_400(server: Server) -> None:
    """The sentence names the one that is served."""
    assert "text-classification" in refused(server, 400, "/pipeline/fill-mask/org/bert", json={"inputs": "a"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/"), ("PUT", MODEL), ("POST", "/models"), ("DELETE", "/health"), ("POST", "/ready"), ("PATCH", "/info")],
)
def test_a_wrong_method_is_405(server: Server, method: str, path: str) -> None:
    """The sentence says what is answered there."""
    assert "only" in refused(server, 405, path, method=method)


def test_headers_too_large_are_431(server: Server) -> None:
    """The sentence has the limit and its setting."""
    assert "max_header_bytes" in refused(server, 431, json={"inputs": "a"}, headers={"x-long": "a" * 20_000})


def test_a_wrong_option_header_is_400(server: Server) -> None:
    """Its sentence names the header."""
    assert "x-use-cache" in refused(server, 400, json={"inputs": "a"}, headers={"x-use-cache": "perhaps"})


def test_two_lengths_of_one_body_are_refused(server: Server) -> None:
    """Content-Length beside Transfer-Encoding is how requests are smuggled."""
    raw(
        server,
        400,
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    )
