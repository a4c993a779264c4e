"""Routes, shapes and headers over HTTP, with transformers' answers."""

import json
import re
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.rankings import same
from tests.support.raw_http import raw
from tests.support.server_process import SMALLEST, Server, serving, wait_until
from tests.support.tiny_models import TEXTS, VOCABULARY_ONLY

Ask = Callable[..., list[Any]]
TEXT = "I like you. I love you"
MODELS = ["org/bert", "org/distilbert", "org/one-label", "org/multi-label", "bare", VOCABULARY_ONLY]
ANYWHERE = [
    "/models/{}",
    "/pipeline/text-classification/{}",
    "/hf-inference/models/{}",
    "/hf-inference/models/{}/pipeline/text-classification",
    "/api/inference-proxy/hf-inference/models/{}",
]
"""Every path that clients call with a model."""


@pytest.mark.parametrize("model", ["org/bert", "org/bert/", "org%2Fbert", "org%2fbert", "bert"])
@pytest.mark.parametrize("path", ANYWHERE)
def test_every_path_that_clients_call_classifies(server: Server, expected: Ask, path: str, model: str) -> None:
    """Every path gives one answer, however the id is written."""
    reply = server.post(path.format(model), json={"inputs": TEXT})

    assert 200 == reply.status_code, reply.text
    same(reply.json(), expected("org/bert", [TEXT]))


def test_an_endpoint_may_end_with_a_slash(server: Server, expected: Ask) -> None:
    """Then clients ask for //models/…, which is the same; slashes that are a part of a name are not."""
    for slashes in ("//", "///"):
        reply = raw(
            server, f"POST {slashes}models/org/bert", "host: localhost", body=json.dumps({"inputs": TEXT}).encode()
        )
        same(json.loads(reply.body), expected("org/bert", [TEXT]))
        assert 200 == raw(server, f"GET {slashes}health", "host: localhost").status
    for path in (
        "/%2fhealth",
        "%2fhealth",
        "/%2Fmodels/org/bert",
        "//%2fhealth",
        "//evil.example/health",
        "/.//health",
    ):
        assert raw(server, f"GET {path}", "host: localhost").status in {400, 404}, path


@pytest.mark.parametrize("path", ANYWHERE)
def test_a_name_without_organisation_and_an_exact_id(server: Server, expected: Ask, path: str) -> None:
    """A folder that lies in none is served; of two models with one name each is served by its id."""
    for model in ("bare", "a/same", "b/same"):
        same(server.post(path.format(model), json={"inputs": TEXT}).json(), expected(model, [TEXT]))


def test_the_root_is_the_default_model(server: Server, expected: Ask) -> None:
    """The first of those named at start; what the query says in vain is named in the reply."""
    same(server.post("/", json={"inputs": TEXT}).json(), expected("org/bert", [TEXT]))
    for query, body in (("wait_for_model=true", {}), ("top_k=1", {"parameters": {}})):
        reply = server.post(f"/?{query}", json={"inputs": TEXT, **body})
        same(reply.json(), expected("org/bert", [TEXT]))
        assert f"query.{query.partition('=')[0]}" in reply.headers["x-hf-warning"]
    assert "x-hf-warning" not in server.post("/?utm_source=x", json={"inputs": TEXT}).headers


def test_the_models_tell_texts_apart(expected: Ask) -> None:
    """For each model some label's score differs by half between texts, or the comparisons below would show nothing."""
    spreads = {}
    for model in MODELS:
        scores: dict[str, list[float]] = {}
        for ranking in expected(model, TEXTS):
            for one in ranking:
                scores.setdefault(one["label"], []).append(one["score"])
        spreads[model] = max(max(one) - min(one) for one in scores.values())

    assert [] == [model for model, spread in spreads.items() if spread < 0.5]


@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_model_answers_as_transformers(server: Server, expected: Ask, model: str) -> None:
    """Many labels, two, one and several at once, with and without tokenizer.json; a list has one ranking per text."""
    texts = [*TEXTS, "nul\x00 inside", " \n\t ", "e\u0301 👩‍👩‍👧 \u202eabc", "\ufeffgood", "x" * 101]

    same(server.classify(texts, model), expected(model, texts))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none", "SoftMax"])
@pytest.mark.parametrize("model", MODELS[:4])
def test_every_function_answers_as_transformers(server: Server, expected: Ask, model: str, function: str) -> None:
    """Whatever the model's own is; with top_k the first labels of it."""
    for top_k in (None, 1, 2, 99):
        actual = server.classify(TEXTS, model, function_to_apply=function, top_k=top_k)

        same(actual, expected(model, TEXTS, function_to_apply=function, top_k=top_k))


def test_pairs_answer_as_transformers(server: Server, expected: Ask) -> None:
    """Alone, in lists, beside single texts, and with an empty second part."""
    pairs = [{"text": "the film", "text_pair": "not good"}, {"text": "a", "text_pair": ""}, {"text": "only one"}]

    same(server.classify([*pairs, TEXT]), expected("org/bert", [*pairs, TEXT]))
    same(server.classify(pairs[0]), expected("org/bert", pairs[:1]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"truncation": True},
        {"max_length": 9},
        {"truncation": True, "max_length": 20},
        {"truncation": "longest_first", "max_length": 7},
        {"truncation": "only_first", "max_length": 12},
    ],
)
def test_truncation_answers_as_transformers(server: Server, expected: Ask, parameters: dict[str, Any]) -> None:
    """Asked for, a long text or pair is cut where transformers cuts it."""
    texts = ["not very good " * 60, "the market fell", {"text": "the film was good " * 40, "text_pair": "I love it"}]

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


def test_a_thousand_texts_in_one_request(server: Server, expected: Ask) -> None:
    """By default, also of a model that is not loaded yet; each gets the answer that it has alone."""
    texts = [f"{number} {'very ' * (number % 9)}good film" for number in range(1000)]
    same(server.classify(texts), expected("org/bert", texts))

    rankings = server.classify(texts, SMALLEST)
    assert (1000, 20_000) == (len(rankings), sum(map(len, rankings)))
    for at in (0, 500, 999):
        same([rankings[at]], server.classify(texts[at], SMALLEST))


def test_headers_of_a_reply(server: Server) -> None:
    """All that the recordings of the service have, and no more than once each."""
    pair = {"text": "日本", "text_pair": "abc"}
    reply = server.post("/models/org/bert", json={"inputs": ["é1", "23", pair]}, headers={"X-Request-Id": "abc-1"})

    assert "application/json" == reply.headers["content-type"]
    assert re.fullmatch(r"\d+\.\d{3}", reply.headers["x-compute-time"])
    assert ("cpu", "9", "abc-1") == tuple(
        reply.headers[name] for name in ("x-compute-type", "x-compute-characters", "x-request-id")
    )
    assert re.fullmatch(r"[0-9a-f]{40}", reply.headers["x-sha"])
    assert str(len(reply.content)) == reply.headers["content-length"]
    assert "transfer-encoding" not in reply.headers


def test_the_revision_is_the_models(server: Server) -> None:
    """x-sha is the same at each request and on each path, another for another model, and what /info says."""
    shas = {
        model: {server.post(path.format(model), json={"inputs": "a"}).headers["x-sha"] for path in ANYWHERE}
        for model in MODELS
    }

    assert [1] * len(MODELS) == [len(one) for one in shas.values()]
    assert len(MODELS) == len(set.union(*shas.values()))
    assert [shas["org/bert"]] * 2 == [
        {server.get(path).json()["model_sha"]} for path in ("/info", "/models/org/bert/info")
    ]


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"x-request-id": "abc-1"}, "abc-1"),
        ({"x-amzn-trace-id": "Root=1-67"}, "Root=1-67"),
        ({"x-request-id": "abc-1", "x-amzn-trace-id": "Root=1-67"}, "abc-1"),
        ({}, None),
        ({"x-request-id": "x" * 5000}, None),
        ({"x-request-id": "<script>"}, None),
    ],
)
def test_the_request_id(server: Server, headers: dict[str, str], kept: str | None) -> None:
    """The client's own where it is safe to repeat, else a new one each time; on replies and on errors."""
    for status, inputs in ((200, "a"), (400, 1)):
        replies = [server.post("/", json={"inputs": inputs}, headers=headers) for _ in range(2)]
        ids = [reply.headers["x-request-id"] for reply in replies]

        assert [status] * 2 == [reply.status_code for reply in replies]
        assert ([kept] * 2 == ids) if kept else (ids[0] != ids[1] and not {*ids} & {*headers.values()})


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_every_reply_has_a_request_id(server: Server, accept: str) -> None:
    """By whatever method, page or not, what is not there, not allowed or has not changed included."""
    paths = ["/", "/health", "/ready", "/info", "/metrics", "/status", "/openapi.json", "/docs/text-classification"]
    paths += ["/models", "/models/org/bert", "/models/org/bert/health", "/api/models", "/api/tasks", "/api/whoami-v2"]
    paths += ["/sign-in", "/settings/tokens", "/static/labeld.css", "/nowhere", "/models/org/none", "//health"]
    headers = {"x-request-id": "abc-1", "accept": accept}
    replies = [server.session.get(server.url + path, headers=headers, timeout=60) for path in paths]
    etag = server.get("/static/labeld.css").headers["etag"]
    replies.append(server.session.get(f"{server.url}/static/labeld.css", headers={**headers, "if-none-match": etag}))

    assert 304 == replies[-1].status_code
    replies += [
        server.session.request(method, server.url + path, headers=headers, timeout=60)
        for path in paths
        for method in ("HEAD", "DELETE", "OPTIONS")
    ]
    assert {200, 401, 404, 405} <= {reply.status_code for reply in replies}
    assert [] == [
        (reply.request.method, reply.url) for reply in replies if "abc-1" != reply.headers.get("x-request-id")
    ]


def test_an_ignored_parameter_is_said_so(server: Server) -> None:
    """By its name, in the header that huggingface_hub prints."""
    reply = server.post("/models/org/bert", json={"inputs": TEXT, "parameters": {"temperature": 1}})

    assert 200 == reply.status_code
    assert "temperature" in reply.headers["x-hf-warning"]


def test_info_health_and_description(server: Server) -> None:
    """The reply to a GET."""
    info = server.get("/models/bert/info").json()

    assert ("org/bert", 128, "softmax") == tuple(
        info[name] for name in ("model_id", "max_input_length", "function_to_apply")
    )
    assert {"0": "negative", "1": "neutral", "2": "positive"} == info["model_type"]["classifier"]["id2label"]
    assert info == server.get("/info").json()
    assert [200] * 3 == [server.get(path).status_code for path in ("/models/bare/health", "/health", "/ready")]


def test_the_description_has_every_route(server: Server) -> None:
    """/openapi.json is JSON, has each path with its method, and parameters that the path has."""
    reply = server.get("/openapi.json")
    paths = reply.json()["paths"]

    assert "application/json" == reply.headers["content-type"]
    assert {("/", "post"), ("/", "get"), ("/info", "get"), ("/health", "get"), ("/ready", "get")} <= {
        (path, method) for path, one in paths.items() for method in one
    }
    assert {path.format("{model_id}") for path in ANYWHERE} <= set(paths)
    assert {"/models/{model_id}/info", "/models/{model_id}/health"} <= set(paths)
    for path, one in paths.items():
        assert re.findall(r"{(\w+)}", path) == [parameter["name"] for parameter in one.get("parameters", [])]


def test_many_clients_get_their_own_answers(server: Server) -> None:
    """Eight clients at once, each with texts that nobody else has; nobody gets another's scores."""
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

    assert 8 * 12 == len({str(ranking) for mine in alone for ranking in mine})
    for mine, reference in zip(answers, alone, strict=True):
        same(mine, reference)


def test_a_client_that_leaves_leaves_nothing_behind(server: Server) -> None:
    """Twenty clients close their connection at once; the server goes on answering, and logs nothing."""
    body = b'{"inputs": ["' + b'", "'.join([b"good " * 60] * 50) + b'"]}'
    head = b"POST /models/org/bert HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
    for _ in range(20):
        with socket.create_connection(server.address) as connection:
            connection.sendall(head + body)

    assert wait_until(lambda: server.get("/ready").status_code == 200)
    assert 1 == len(server.classify(TEXT))
    assert "Traceback" not in server.log.read_text()


def test_half_a_character_in_a_label_is_told_as_json_can(tmp_path: Path, models_dir: Path) -> None:
    """config.json may name a label by half a surrogate pair, which no UTF-8 can hold."""
    shutil.copytree(models_dir / "org/bert", tmp_path / "models/odd")
    path = tmp_path / "models/odd/config.json"
    config = json.loads(path.read_text())
    config["id2label"]["0"] = "\ud800"
    path.write_text(json.dumps(config))
    with serving(tmp_path, "odd", "--models-dir", str(tmp_path / "models")) as server:
        info = server.get("/info")

    assert 200 == info.status_code
    assert "\ud800" == json.loads(info.content)["model_type"]["classifier"]["id2label"]["0"]
