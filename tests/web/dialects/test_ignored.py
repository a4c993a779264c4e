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
    """Of two names of one thing the other one, and windows where no text is read in windows."""
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
