"""What a request says and a dialect does not do is named by x-hf-warning, as in the hosted API."""

from typing import Any

import pytest

from labeld.protocol.dialects.base import Dialect
from tests.support.dialect_bodies import BODIES, LABELS
from tests.support.server_process import Server
from tests.web.dialects.test_errors import each_call, post

OF_PARAMETERS = {"text_ranking", "zero_shot", "kserve", "vertex", "sagemaker", "open_inference"}
"""Dialects whose options stand in `parameters`."""
LONG = "the market fell and the day was bad " * 30


@each_call
def test_a_member_that_means_nothing(dialects: Server, dialect: Dialect, path: str) -> None:
    """Is named, and one that is null is not; a good body has no warning."""
    body = BODIES[dialect.name]
    more = {"instruction": "be kind", "nothing": None}
    asked = body | ({"parameters": {**body.get("parameters", {}), **more}} if dialect.name in OF_PARAMETERS else more)
    reply = post(dialects, dialect, path, asked)

    assert reply.status_code == 200, reply.text
    assert "instruction" in reply.headers["x-hf-warning"]
    assert "x-hf-warning" not in post(dialects, dialect, path, body).headers


@each_call
def test_a_parameter_of_the_query(dialects: Server, dialect: Dialect, path: str) -> None:
    """Dialects read their bodies only."""
    reply = post(dialects, dialect, f"{path}?top_k=1&unknown=2", BODIES[dialect.name])

    assert reply.status_code == 200, reply.text
    assert "query.top_k" in reply.headers["x-hf-warning"]
    assert "unknown" not in reply.headers["x-hf-warning"]


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/v1/rerank", {"max_chunks_per_doc": 3, "top_k": 1, "top_n": 1}, ["max_chunks_per_doc", "top_k"]),
        ("/v1/rerank", {"max_tokens_per_doc": 8, "stride": 4}, ["max_tokens_per_doc"]),
        ("/v1/rerank", {"truncate_prompt_tokens": 8, "stride": 4}, ["truncate_prompt_tokens"]),
        ("/score", {"queries": "a", "truncate_prompt_tokens": 8, "max_length": 12}, ["truncate_prompt_tokens"]),
        ("/v1/rerank", {"use_activation": True, "softmax": False}, ["softmax"]),
        ("/v1/rerank", {"return_windows": True}, ["return_windows"]),
        ("/score", {"queries": "a", "text_1": "b"}, ["text_1"]),
        ("/v1/models/org/bert:predict", {"instances": [{"inputs": "a", "truncate": True}]}, ["instances.truncate"]),
        ("/v1/ranking", {"query": {"text": "a", "image": "b"}, "passages": [{"text": "a"}]}, ["query.image"]),
    ],
)
def test_members_that_mean_something_elsewhere(
    dialects: Server, path: str, body: dict[str, Any], names: list[str]
) -> None:
    """Of two names of one thing the other one, a second way to read long texts, and windows where there are none."""
    reply = dialects.post(path, json={"model": "org/one-label", "query": "a", "documents": ["a"], **body})

    assert reply.status_code == 200, reply.text
    for name in names:
        assert name in reply.headers["x-hf-warning"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/org/nli", {"inputs": LONG, "parameters": {"candidate_labels": LABELS}}),
        ("/v1/classify", {"model": "org/nli", "input": [LONG], "labels": LABELS}),
    ],
)
def test_windows_of_zero_shot_classification(dialects: Server, path: str, body: dict[str, Any]) -> None:
    """They differ from label to label, so the reply has none."""
    how = {"stride": 16, "return_windows": True}
    given = {**body, "parameters": {**body["parameters"], **how}} if "parameters" in body else {**body, **how}
    reply = dialects.post(path, json=given)

    assert reply.status_code == 200, reply.text
    assert "return_windows" in reply.headers["x-hf-warning"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/org/bert", {"inputs": "a"}),
        ("/models/org/nli", {"inputs": "a", "parameters": {"candidate_labels": LABELS}}),
        ("/v1/models/org/bert:predict", {**BODIES["kserve"], "parameters": {"top_k": 9}}),
        ("/v2/models/org/bert/infer", BODIES["open_inference"]),
        ("/invocations", {"inputs": "a"}),
        ("/vertex", BODIES["vertex"]),
        ("/predict", {"inputs": "a"}),
        ("/classify", {"input": ["a"]}),
        ("/classify", {"input": ["a"], "raw_scores": False}),
        ("/rerank", {"model": "org/one-label", "query": "a", "texts": ["a"]}),
        ("/v1/rerank", {"model": "org/one-label", "query": "a", "documents": ["a"]}),
        ("/score", {"model": "org/one-label", "queries": "a", "documents": ["a"]}),
        ("/v1/classify", {"model": "org/nli", "input": ["a"], "labels": LABELS}),
    ],
)
def test_what_only_windows_have(dialects: Server, path: str, body: dict[str, Any]) -> None:
    """Without a stride no text is read in windows: the answer is the plain one, and the reply says so."""
    how, is_flat = {"aggregate": "mean", "return_windows": True}, path in FLAT
    asked = body | (how if is_flat else {"parameters": {**body.get("parameters", {}), **how}})
    plain, reply = dialects.post(path, json=body), dialects.post(path, json=asked)

    assert (200, 200) == (plain.status_code, reply.status_code), reply.text
    assert without_ids(plain.json()) == without_ids(reply.json())
    assert {"aggregate", "return_windows"} == names(reply)
    assert "x-hf-warning" not in plain.headers


FLAT = {"/predict", "/classify", "/rerank", "/v1/rerank", "/score", "/v1/classify"}
"""Paths whose options stand beside the texts."""


def names(reply: Any) -> set[str]:
    """The names that the warning of a reply has."""
    return set(reply.headers.get("x-hf-warning", ": ").rpartition(": ")[2].split(", ")) - {""}


def without_ids(value: Any) -> Any:
    """A reply without what differs from call to call."""
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if name not in {"id", "created", "model"}}
    return value


def test_a_parameter_of_an_output(dialects: Server) -> None:
    """Triton's classes of a tensor are not served; that an output should be binary is nothing to name."""
    outputs = [{"name": "scores", "parameters": {"binary_data": True, "classification": 2}}]
    reply = dialects.post("/v2/models/org/bert/infer", json={**BODIES["open_inference"], "outputs": outputs})

    assert reply.status_code == 200, reply.text
    assert {"outputs[0].parameters.classification"} == names(reply)


@pytest.mark.parametrize("path", ["/models/org/bert", "/"])
def test_options_of_another_server_beside_the_texts(dialects: Server, path: str) -> None:
    """The hosted API's shape has none of TEI's, at whose paths they count."""
    more = {"truncate": True, "truncation_direction": "Left", "raw_scores": True}
    reply = dialects.post(path, json={"inputs": "a", **more})

    assert reply.json() == dialects.post(path, json={"inputs": "a"}).json()
    assert more.keys() == names(reply)
    assert set() == names(dialects.post(path, json={"inputs": "a", "model": "x", "stream": True, "raw_scores": None}))


@pytest.mark.parametrize("path", ["/invocations", "/vertex"])
def test_the_texts_of_zero_shot_classification_stand_alone(dialects: Server, path: str) -> None:
    """The second text of a pair, and what stands beside an instance's text, are named."""
    text = {"inputs": "a", "truncate": True} if path == "/vertex" else {"text": "a", "text_pair": "b"}
    inputs = {"instances": [text]} if path == "/vertex" else {"inputs": text}
    reply = dialects.post(path, json={"model": "org/nli", "parameters": {"candidate_labels": LABELS}, **inputs})

    assert reply.status_code == 200, reply.text
    assert {"instances.truncate" if path == "/vertex" else "inputs.text_pair"} == names(reply)
