"""Failures have the status and the shape of each dialect, and the server answers the next request."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from labeld.protocol.dialects.base import Dialect
from labeld.web.dialects import DIALECTS
from tests.support.access_tokens import AccessTokens
from tests.support.dialect_bodies import BODIES, LISTS
from tests.support.server_process import Server, serving

TEI, COHERE, OPENAI = ("error", "error_type"), ("message", "detail"), ("error",)
SHAPES = {
    **dict.fromkeys(("rerank", "predict"), TEI),
    **dict.fromkeys(("cohere", "jina"), COHERE),
    **dict.fromkeys(("score", "nim", "classify"), OPENAI),
}
"""Members of an error's object; the hosted API's has only `error`, a string."""
MODELS = {
    **dict.fromkeys(("rerank", "cohere", "text_ranking", "score", "nim"), "org/one-label"),
    **dict.fromkeys(("zero_shot", "jina"), "org/nli"),
}
CALLS = [(dialect, path) for dialect in DIALECTS for path in dialect.paths]


def each(calls: list[tuple[Dialect, str]]) -> pytest.MarkDecorator:
    """A test for each of these calls."""
    return pytest.mark.parametrize(("dialect", "path"), calls, ids=[path for _, path in calls])


each_call = each(CALLS)


def post(server: Server, dialect: Dialect, path: str, body: Any, model: str | None = None) -> Any:
    """The reply to a body in which, or in whose path, a model is named."""
    model = model or MODELS.get(dialect.name, "org/bert")
    if "{model_id" not in path and isinstance(body, dict):
        body = {"model": model, **body}
    return server.post(path.replace("{model_id:path}", model).replace("{version}", "1"), json=body)


def with_texts(dialect: Dialect, texts: Any) -> dict[str, Any]:
    """The dialect's good body with other texts."""
    body = copy.deepcopy(BODIES[dialect.name])
    place: Any = body
    *way, last = LISTS[dialect.name]
    for one in way:
        place = place[one]
    place[last] = texts
    if dialect.name == "open_inference":
        place["shape"] = [len(texts)] if isinstance(texts, list) else [1]
    return body


def text_of(dialect: Dialect, text: Any) -> Any:
    """An item of the dialect's list of texts."""
    return {"nim": {"text": text}, "predict": [text]}.get(dialect.name, text)


def require_shape(dialect: Dialect, reply: Any, status: int, of_tei: int = 422) -> str:
    """The sentence of an error that has the shape of its dialect, and this status, or TEI's own where it is 400."""
    value = reply.json()
    assert reply.status_code == (of_tei if status == 400 and SHAPES.get(dialect.name) == TEI else status), reply.text
    assert tuple(value) == SHAPES.get(dialect.name, ("error",))
    if SHAPES.get(dialect.name) == OPENAI:
        assert set(value["error"]) == {"message", "type", "param", "code"}
        return value["error"]["message"]
    return value.get("error") or value["detail"]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that needs an access token."""
    tokens = AccessTokens(tmp_path_factory.mktemp("tokens") / "tokens.sqlite3")
    tokens.make("all")
    with serving(tmp_path_factory.mktemp("closed"), "--tokens-db", str(tokens.path)) as running:
        yield running


@each_call
def test_who_is_not_let_in(closed: Server, dialect: Dialect, path: str) -> None:
    """A caller without an access token gets an error of the dialect as well."""
    assert "password" in require_shape(dialect, post(closed, dialect, path, BODIES[dialect.name]), 401)


@each_call
def test_good_bodies_are_answered(dialects: Server, dialect: Dialect, path: str) -> None:
    """At every path of every dialect."""
    reply = post(dialects, dialect, path, BODIES[dialect.name])

    assert reply.status_code == 200, reply.text
    assert int(reply.headers["x-compute-tokens"]) > 0
    assert len(reply.headers["x-sha"]) == 40


@each_call
def test_too_many_texts(dialects: Server, dialect: Dialect, path: str) -> None:
    """Texts beyond max_inputs, and 100,000, are refused at once."""
    for count in (1001, 100_000):
        reply = post(dialects, dialect, path, with_texts(dialect, [text_of(dialect, "a")] * count))

        assert "setting" in require_shape(dialect, reply, 400, of_tei=413)
    assert post(dialects, dialect, path, BODIES[dialect.name]).status_code == 200


@each_call
def test_no_texts(dialects: Server, dialect: Dialect, path: str) -> None:
    """An empty list is 400, for TEI as well; only the hosted shape answers it with an empty one."""
    reply = post(dialects, dialect, path, with_texts(dialect, []))

    if dialect.name == "sagemaker":
        assert (reply.status_code, reply.json()) == (200, [])
        return
    assert reply.status_code == 400
    assert "empty" in reply.text
    assert tuple(reply.json()) == SHAPES.get(dialect.name, ("error",))
    if SHAPES.get(dialect.name) == TEI:
        assert reply.json()["error_type"] == "Empty"


@each_call
@pytest.mark.parametrize("texts", [[7], [None], {"a": 1}, 7, None, [["a", ["b"]]]], ids=str)
def test_texts_that_are_none(dialects: Server, dialect: Dialect, path: str, texts: Any) -> None:
    """Numbers, nulls, objects and lists of lists are no texts."""
    if isinstance(texts, list) and texts[0] in (7, None):
        texts = [text_of(dialect, texts[0])]
    reply = post(dialects, dialect, path, with_texts(dialect, texts))

    assert LISTS[dialect.name][-1] in require_shape(dialect, reply, 400)


@each([call for call in CALLS if call[0].name != "sagemaker"])
@pytest.mark.parametrize("body", [[], [1], "text", 7, None, {}], ids=str)
def test_bodies_that_are_none(dialects: Server, dialect: Dialect, path: str, body: Any) -> None:
    """JSON that is no request, but for SageMaker's, which as the hosted API reads bare texts."""
    require_shape(dialect, post(dialects, dialect, path, body), 400)


@each_call
def test_broken_json(dialects: Server, dialect: Dialect, path: str) -> None:
    """A body that is no JSON has the error's shape as well."""
    path = path.replace("{model_id:path}", "org/bert").replace("{version}", "1")
    reply = dialects.post(path, data=b'{"query": ', headers={"content-type": "application/json"})

    assert "JSON" in require_shape(dialect, reply, 400)


@each_call
def test_an_unknown_model(dialects: Server, dialect: Dialect, path: str) -> None:
    """A name that no model has is 404."""
    reply = post(dialects, dialect, path, BODIES[dialect.name], "org/nothing")

    assert "org/nothing" in require_shape(dialect, reply, 404)


@each([call for call in CALLS if call[0].name in MODELS])
def test_the_wrong_task(dialects: Server, dialect: Dialect, path: str) -> None:
    """A classifier ranks nothing without a label, and has no candidate labels."""
    reply = post(dialects, dialect, path, BODIES[dialect.name], "org/bert")

    assert "positive" in require_shape(dialect, reply, 400, of_tei=424)


@each_call
@pytest.mark.parametrize(
    ("name", "value"), [("stride", -1), ("stride", "x"), ("max_length", 0), ("aggregate", "sum"), ("stride", 10**9)]
)
def test_wrong_windows(dialects: Server, dialect: Dialect, path: str, name: str, value: Any) -> None:
    """A wrong member of windows is named, in the body or in its parameters."""
    body = with_texts(dialect, [text_of(dialect, "the film " * 200)])
    inside = {"text_ranking", "zero_shot", "open_inference", "kserve", "vertex", "sagemaker"}
    if dialect.name in inside:
        body["parameters"] = {**body.get("parameters", {}), name: value}
    else:
        body[name] = value

    assert name in require_shape(dialect, post(dialects, dialect, path, body), 400)


@pytest.mark.parametrize("name", ["query", "inputs"])
def test_tei_counts_an_empty_text_as_empty(dialects: Server, name: str) -> None:
    """With status 400, where texts that are too long are 413, and other faults 422."""
    path = "/rerank" if name == "query" else "/predict"
    reply = dialects.post(path, json={name: "", "texts": ["a"]})

    assert (reply.status_code, reply.json()["error_type"]) == (400, "Empty")


@each([call for call in CALLS if call[0].name in {"rerank", "predict", "score", "nim", "classify"}])
def test_the_way_out_is_one_of_the_dialect(dialects: Server, dialect: Dialect, path: str) -> None:
    """A text that is too long is refused with the members that help, which stand beside the texts."""
    long = with_texts(dialect, [text_of(dialect, "the film " * 200)])
    sentence = require_shape(dialect, post(dialects, dialect, path, long), 400, of_tei=413)

    assert "parameters" not in sentence
    assert "`inputs`" not in sentence
    for way_out in ({"max_length": 64}, {"stride": 16}):
        assert f'"{next(iter(way_out))}"' in sentence
        assert post(dialects, dialect, path, long | way_out).status_code == 200


@pytest.mark.parametrize("wrong", [[None], "", 0, False], ids=repr)
@pytest.mark.parametrize(
    ("path", "member", "body"),
    [
        ("/v1/models/org/bert:predict", "parameters", {"instances": ["a"]}),
        ("/vertex", "parameters", {"instances": ["a"]}),
        ("/v2/models/org/bert/infer", "parameters", BODIES["open_inference"]),
        ("/v2/models/org/bert/infer", "outputs", BODIES["open_inference"]),
        ("/pipeline/zero-shot-classification/org/nli", "parameters", {"inputs": "a"}),
        ("/pipeline/text-ranking/org/one-label", "parameters", {"inputs": {"query": "a", "texts": ["b"]}}),
        ("/api/v1/text/contents", "detector_params", {"contents": ["a"]}),
    ],
)
def test_a_member_of_a_wrong_type_is_refused_where_it_is_empty_too(
    server: Server, path: str, member: str, body: dict[str, Any], wrong: Any
) -> None:
    """Nothing but null, and an empty list for an object, stands for one that is left out."""
    reply = server.post(path, json={**body, member: wrong})

    assert reply.status_code in {400, 422}, reply.text
    assert member in reply.text
