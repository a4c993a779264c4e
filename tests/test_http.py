"""Routes, shapes and headers over HTTP, with transformers' answers."""

import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import same
from tests.server_process import Server, wait_until

Ask = Callable[..., list[Any]]
TEXT = "I like you. I love you"
PATHS = [
    "/",
    "/models/org/bert",
    "/models/org/bert/",
    "/models/org%2Fbert",
    "/models/bert",
    "/pipeline/text-classification/org/bert",
    "/hf-inference/models/org/bert",
    "/hf-inference/models/org/bert/pipeline/text-classification",
    "/api/inference-proxy/hf-inference/models/org/bert",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_that_clients_call_classifies(server: Server, expected: Ask, path: str) -> None:
    """The same answer on each."""
    same(server.post(path, json={"inputs": TEXT}).json(), expected("org/bert", [TEXT]))


@pytest.mark.parametrize("model", ["org/bert", "org/distilbert", "org/one-label", "org/multi-label", "bare"])
def test_every_kind_of_model_answers_as_transformers(server: Server, expected: Ask, model: str) -> None:
    """Many labels, two, one and several at once; a list has one ranking per text."""
    texts = [TEXT, "", "the market fell", "a [SEP] b", "nul\x00 inside", "日本語 é ñ", "x" * 40]

    same(server.classify(texts, model), expected(model, texts))


def test_pairs_answer_as_transformers(server: Server, expected: Ask) -> None:
    """Alone, in lists, beside single texts, and with an empty second part."""
    pairs = [{"text": "the film", "text_pair": "not good"}, {"text": "a", "text_pair": ""}, {"text": "only one"}]

    same(server.classify([*pairs, TEXT]), expected("org/bert", [*pairs, TEXT]))
    same(server.classify(pairs[0]), expected("org/bert", pairs[:1]))


@pytest.mark.parametrize(
    "parameters", [{"truncation": True}, {"max_length": 9}, {"truncation": True, "max_length": 20}]
)
def test_truncation_answers_as_transformers(server: Server, expected: Ask, parameters: dict[str, Any]) -> None:
    """Asked for, a long text is cut where transformers cuts it."""
    texts = ["not very good " * 60, "the market fell"]

    same(server.classify(texts, **parameters), expected("org/bert", texts, **parameters))


def test_a_text_too_long_names_both_lengths(server: Server) -> None:
    """Without truncation it is refused."""
    reply = server.post("/models/org/bert", json={"inputs": "good " * 127})

    assert 400 == reply.status_code
    assert "129 tokens long" in reply.json()["error"]
    assert "at most 128" in reply.json()["error"]


def test_no_inputs_give_no_rankings(server: Server) -> None:
    """An empty list is answered by one."""
    assert [] == server.classify([])


def test_headers_of_a_reply(server: Server) -> None:
    """All that the recordings of the service have."""
    reply = server.post("/models/org/bert", json={"inputs": ["é1", "23"]}, headers={"X-Request-Id": "abc-1"})

    assert "application/json" == reply.headers["content-type"]
    assert re.fullmatch(r"\d+\.\d{3}", reply.headers["x-compute-time"])
    assert ("cpu", "4", "abc-1") == tuple(
        reply.headers[name] for name in ("x-compute-type", "x-compute-characters", "x-request-id")
    )
    assert re.fullmatch(r"[0-9a-f]{40}", reply.headers["x-sha"])
    assert str(len(reply.content)) == reply.headers["content-length"]


def test_an_ignored_parameter_is_said_so(server: Server) -> None:
    """By its name, in the header that huggingface_hub prints."""
    reply = server.post("/models/org/bert", json={"inputs": TEXT, "parameters": {"temperature": 1}})

    assert 200 == reply.status_code
    assert "temperature" in reply.headers["x-hf-warning"]


def test_info_health_and_description(server: Server) -> None:
    """What GET answers."""
    info = server.get("/models/bert/info").json()

    assert ("org/bert", 128, "softmax") == tuple(
        info[name] for name in ("model_id", "max_input_length", "function_to_apply")
    )
    assert {"0": "negative", "1": "neutral", "2": "positive"} == info["model_type"]["classifier"]["id2label"]
    assert info == server.get("/info").json()
    assert [200] * 3 == [server.get(path).status_code for path in ("/models/bare/health", "/health", "/ready")]
    assert "/models/{model_id}" in server.get("/openapi.json").json()["paths"]


def test_many_clients_get_their_own_answers(server: Server) -> None:
    """Eight clients at once, each with texts of its own; nobody gets another's scores."""
    texts = [[f"{word} {'very ' * count}good {count}" for count in range(12)] for word in "abcdefgh"]
    alone = [[server.classify(text)[0] for text in mine] for mine in texts]
    answers: list[list[Any]] = [[] for _ in texts]

    def ask(index: int) -> None:
        for text in texts[index]:
            answers[index] += server.classify(text)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for mine, reference in zip(answers, alone, strict=True):
        same(mine, reference)


def test_a_client_that_leaves_leaves_nothing_behind(server: Server) -> None:
    """Half of forty clients close their connection at once; the server goes on answering."""
    host, port = server.url.removeprefix("http://").split(":")
    body = b'{"inputs": ["' + b'", "'.join([b"good " * 60] * 50) + b'"]}'
    head = b"POST /models/org/bert HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head + body)

    assert wait_until(lambda: server.get("/ready").status_code == 200)
    assert 1 == len(server.classify(TEXT))
