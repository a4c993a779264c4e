"""What is wrong gets a clear error, and the next good request an answer."""

import gzip
import json
import socket
from typing import Any

import pytest

from tests.server_process import Server

JSON = {"content-type": "application/json"}
MODEL = "/models/org/bert"


def refused(server: Server, status: int, path: str = MODEL, **options: Any) -> str:
    """The sentence of a refusal with this status, after which a good request is answered."""
    reply = server.session.request(options.pop("method", "POST"), server.url + path, timeout=60, **options)
    assert (status, "application/json") == (reply.status_code, reply.headers["content-type"]), reply.text
    sentence: str = reply.json()["error"]
    assert set(reply.json()) == {"error"}
    assert reply.headers["x-request-id"]
    assert reply.headers["x-error-message"]
    assert not any(word in reply.text for word in ("Traceback", "/site-packages", "/tmp/", "labeld/"))
    assert len(server.classify("good day")) == 1
    return sentence


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty"),
        (b"{", ""),
        (b"\xc3\x28", "'utf-8' codec can't decode byte 0xc3 in position 0: invalid continuation byte"),
        (b"[" * 250_000, "limit"),
        (b'{"inputs": ' + b"[" * 100 + b"]" * 100 + b"}", "32"),
        (b'{"inputs": "\\ud800"}', "surrogate"),
        (b'{"inputs": NaN}', ""),
        (b'{"inputs": "a", "parameters": {"top_k": 1e999}}', ""),
        (b'{"inputs": "a", "inputs": "b"}', "inputs"),
        (b'{"inputs": ' + b"1" * 100_000 + b"}", ""),
        (b'{"parameters": {}}', "inputs"),
        (b"null", ""),
        (json.dumps({"inputs": ["a"] * 300}).encode(), "256"),
        (b'{"inputs": [["a", "b"]]}', "text_pair"),
        (b'{"inputs": {"text": ["a", "b"]}}', "text"),
        (b'{"inputs": [1]}', "inputs"),
        (b'{"inputs": "a", "parameters": []}', "parameters"),
        (b'{"inputs": "a", "parameters": {"top_k": 0}}', "top_k"),
        (b'{"inputs": "a", "parameters": {"top_k": true}}', "top_k"),
        (b'{"inputs": "a", "parameters": {"function_to_apply": "tanh"}}', "function_to_apply"),
        (b'{"inputs": "a", "parameters": {"truncation": 3}}', "truncation"),
        (b'{"inputs": "a", "parameters": {"max_length": 1}}', "max_length"),
        (b'{"inputs": "a", "options": 1}', "options"),
    ],
)
def test_a_wrong_body_is_400(server: Server, body: bytes, expected: str) -> None:
    """The sentence names what is wrong and what is allowed."""
    assert expected in refused(server, 400, data=body, headers=JSON)


def test_a_body_of_3_mb_is_413(server: Server) -> None:
    """Before the rest is read; the sentence has the limit and its setting."""
    sentence = refused(server, 413, data=b"x" * 3_000_000, headers=JSON)

    assert "2097152" in sentence
    assert "max_body_bytes" in sentence


def test_a_compressed_body_is_415(server: Server) -> None:
    """It is not unpacked."""
    assert "gzip" in refused(server, 415, data=gzip.compress(b"{}"), headers={"content-encoding": "gzip"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/models/org/none", "Model org/none does not exist"),
        ("/models/none", "Model none does not exist"),
        ("/models/../../etc/passwd", None),
        ("/models/%2e%2e/%2e%2e/etc/passwd", None),
        ("/models/..%2f..%2fetc%2fpasswd", None),
        ("/models/org\\bert", None),
        ("/models/org/bert%0a", None),
        ("/models/https://example.org/bert", None),
        ("/models//host/bert", None),
        ("/models/%EF%BD%8Frg/bert", None),
        ("/models/" + "x" * 5000, None),
        ("/models/", None),
        ("/nothing", "There is nothing at this path"),
    ],
)
def test_a_model_or_path_that_is_not_there_is_404(server: Server, path: str, expected: str | None) -> None:
    """However hostile the id is."""
    sentence = refused(server, 404, path, json={"inputs": "a"})

    assert len(sentence) < 300
    if expected:
        assert sentence.startswith(expected)


def test_an_ambiguous_name_is_400(server: Server) -> None:
    """The sentence has the choices."""
    assert "a/same, b/same" in refused(server, 400, "/models/same", json={"inputs": "a"})


def test_another_task_is_400(server: Server) -> None:
    """The sentence names the one that is served."""
    assert "text-classification" in refused(server, 400, "/pipeline/fill-mask/org/bert", json={"inputs": "a"})


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("PUT", MODEL), ("DELETE", "/health"), ("POST", "/ready")])
def test_a_wrong_method_is_405(server: Server, method: str, path: str) -> None:
    """The sentence says what is answered there."""
    assert "only" in refused(server, 405, path, method=method)


def test_headers_too_large_are_431(server: Server) -> None:
    """The sentence has the limit and its setting."""
    assert "max_header_bytes" in refused(server, 431, json={"inputs": "a"}, headers={"x-long": "a" * 20_000})


def test_two_lengths_of_one_body_are_refused(server: Server) -> None:
    """Content-Length beside Transfer-Encoding is how requests are smuggled."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        head = connection.recv(4096)

    assert head.startswith(b"HTTP/1.1 400 ")
    assert len(server.classify("good day")) == 1
