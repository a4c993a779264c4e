"""A client sees no difference to `labeld serve`: the replies are the same bytes."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.ray.conftest import BROKEN, MODEL, SECRET, Deployed, sentence
from tests.support.paths import TESTS
from tests.support.server_process import Server, serving

CONTRACT = TESTS / "protocol/contract"
RECORDED = json.loads((CONTRACT / "requests.json").read_text())
ERRORS = json.loads((CONTRACT / "errors.json").read_text())
VARY = re.compile(rb"(?im)^(date|x-[a-z]+-time|x-request-id): .*\r\n")
PATH = f"/models/{MODEL}"


@pytest.fixture(scope="module")
def plain(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`labeld serve` with the settings of the cluster."""
    given = deployed.arguments
    flags = ["--host", "0.0.0.0", "--models-dir", str(given["models_dir"]), "--tokens-db", str(given["tokens_db"])]
    flags += ["--max-body-bytes", str(given["max_body_bytes"]), "--body-timeout", str(given["body_timeout"])]
    folder = tmp_path_factory.mktemp("plain")
    with serving(folder, MODEL, *flags, LABELD_TOKENS_SECRET=SECRET) as running:
        running.url = running.url.replace("0.0.0.0", "127.0.0.1")
        yield running


def requests_to_compare() -> dict[str, tuple[str, str, dict[str, str], bytes]]:
    """Method, path, headers and body of each, by what it is."""
    asked = {
        one["client"]: ("POST", PATH, {"x-use-cache": "0", **one["headers"]}, one["body"].encode()) for one in RECORDED
    }
    for one in ERRORS:
        path = f"/models/{one['model_id']}" if "model_id" in one else PATH
        asked[one["source"]] = ("POST", path, {}, bytes.fromhex(one.get("request_hex", "7b7d")))
    return asked | {
        "two texts": ("POST", "/", {"x-use-cache": "0"}, b'{"inputs": ["good", "bad"]}'),
        "no access token": ("POST", PATH, {"authorization": ""}, b'{"inputs": "good"}'),
        "too large": ("POST", PATH, {}, b'"' + b"x" * 200_000 + b'"'),
        "another method": ("PUT", PATH, {}, b""),
        "no route": ("DELETE", "/nothing/here", {}, b""),
        "health": ("GET", "/health", {}, b""),
        "info": ("GET", f"{PATH}/info", {}, b""),
        "a page": ("GET", "/", {"accept": "text/html"}, b""),
        "a foreign name": ("GET", "/health", {"host": "evil.example"}, b""),
        "a browser's other site": ("POST", PATH, {"origin": "https://evil.example"}, b'{"inputs": "x"}'),
        "gzip that is none": ("POST", PATH, {"content-encoding": "gzip"}, b"none"),
        "broken": ("POST", f"/models/{BROKEN}", {"x-wait-for-model": "1"}, b'{"inputs": "x"}'),
    }


CASES = requests_to_compare()


def exchanged(address: tuple[str, int], lines: list[str], body: bytes) -> bytes:
    """The bytes of the reply."""
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        reply = b""
        while part := connection.recv(65536):
            reply += part
    return reply


@pytest.mark.parametrize("case", CASES)
def test_the_same_bytes(deployed: Deployed, plain: Server, case: str) -> None:
    """Status, header fields in their order, and body: all but the date, the times it took, and the request's id."""
    method, path, headers, body = CASES[case]
    fields = {"host": "localhost", **deployed.headers, "content-length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]

    ours, theirs = (exchanged(one, lines, body) for one in (deployed.addresses[0], plain.address))

    assert VARY.sub(b"", theirs) == VARY.sub(b"", ours)
    assert 1 == len(re.findall(rb"(?im)^x-request-id: ", ours))


def test_the_id_is_the_clients_own_where_it_can_be(deployed: Deployed) -> None:
    """As the contract has it: x-request-id, else x-amzn-trace-id, else a new one; what is unsafe is never repeated."""
    url = f"{deployed.urls[0]}/health"

    def of(**headers: str) -> str:
        return requests.get(url, headers=headers, timeout=10).headers["x-request-id"]

    assert "mine" == of(**{"x-request-id": "mine", "x-amzn-trace-id": "Root=1"})
    assert "Root=1-2" == of(**{"x-amzn-trace-id": "Root=1-2"})
    assert re.fullmatch(r"[\w-]{21}", of())
    assert re.fullmatch(r"[\w-]{21}", of(**{"x-request-id": "not safe"}))


def test_a_client_commands_nothing_of_serve(deployed: Deployed) -> None:
    """The headers that end a request early, in Serve's own words, mean nothing."""
    reply = deployed.ask("good", deployed.urls[0], {**deployed.headers, "x-request-timeout-seconds": "0.000001"})

    assert 200 == reply.status_code


def test_a_body_that_stops_is_408_and_one_too_large_is_not_even_sent(deployed: Deployed) -> None:
    """In labeld's words, although Ray's server has no such limits."""
    token = deployed.headers["authorization"]
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: {token}\r\n"
    began = time.monotonic()
    with socket.create_connection(deployed.addresses[0], timeout=20) as connection:
        connection.sendall(f'{head}content-length: 50\r\n\r\n{{"inputs": '.encode())
        late = connection.recv(4096)
    assert late.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 2 seconds (setting body_timeout)" in late
    assert 1.5 < time.monotonic() - began < 6
    with socket.create_connection(deployed.addresses[0], timeout=20) as connection:
        connection.sendall(f"{head}content-length: 500000\r\nexpect: 100-continue\r\n\r\n".encode())
        refused = connection.recv(4096)
    assert refused.startswith(b"HTTP/1.1 413 ")


def test_a_model_that_cannot_be_loaded_keeps_no_other_from_answering(deployed: Deployed) -> None:
    """It was named at the start; whoever asks for it gets the reason, and the replicas have started all the same."""
    reply = requests.post(f"{deployed.urls[0]}/models/{BROKEN}", data="x", headers=deployed.headers, timeout=30)

    assert 500 == reply.status_code
    assert BROKEN in sentence(reply)
    assert all(200 == deployed.ask("good", url).status_code for url in deployed.urls)
    assert Path(str(deployed.arguments["models_dir"]), BROKEN).exists()
