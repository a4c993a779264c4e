"""What the configuration file says of an alias holds in every dialect that can show it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dialect_bodies import CLASSIFIER, DOCUMENTS, LABELS
from tests.support.server_process import Server, configured
from tests.web.dialects.test_ignored import without_ids
from tests.web.dialects.test_zero_shot import ask

LONG = "the market fell and the day was bad " * 30
MOODS = ("negative", "good")
FILE = f"""
models:
  mood:
    model: {CLASSIFIER}
    rename: {{positive: good}}
    thresholds: 0.99999
  long:
    model: {CLASSIFIER}
    windows: {{stride: 8, max_length: 40}}
  ranker: {{model: {CLASSIFIER}, rename: {{positive: good}}, rerank_label: good}}
  nli:
    model: org/nli
    windows: {{stride: 4, max_length: 40, aggregate: mean}}
"""


@pytest.fixture(scope="module")
def aliases(dialect_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two aliases."""
    folder = tmp_path_factory.mktemp("aliases")
    arguments = (CLASSIFIER, "--models-dir", str(dialect_models))
    with configured(folder, FILE, *arguments) as running:
        yield running


def test_thresholds_are_for_rankings(aliases: Server) -> None:
    """A ranking has no label below them; what needs every score has them all."""
    text = DOCUMENTS[0]

    assert ask(aliases, "/predict", {"model": "mood", "inputs": text}) == []
    assert ask(aliases, "/classify", {"model": "mood", "input": text, "raw_scores": False})["data"] == [[]]
    assert len(ask(aliases, "/classify", {"model": "mood", "input": text})["data"][0]["probs"]) == 3
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    assert ask(aliases, "/v2/models/mood/infer", {"inputs": [tensor]})["outputs"][1]["shape"] == [1, 3]
    assert ask(aliases, "/v1/models/mood:predict", {"instances": [text]})["predictions"][0] in {
        *("negative", "neutral", "good"),
    }
    ranked = ask(aliases, "/rerank", {"model": "mood", "query": text, "texts": DOCUMENTS, "label": "good"})
    assert len(ranked) == len(DOCUMENTS)


def test_labels_have_their_names(aliases: Server) -> None:
    """Those of the alias, in the order of the model's ids."""
    outputs = aliases.get("/v2/models/mood").json()["outputs"]

    assert outputs[1]["parameters"]["labels"] == ["negative", "neutral", "good"]


@pytest.mark.parametrize(
    ("path", "body", "read"),
    [
        ("/predict", {"inputs": LONG}, lambda reply: reply),
        ("/classify", {"input": [LONG], "raw_scores": False}, lambda reply: reply["data"][0]),
    ],
)
def test_windows_of_the_alias(aliases: Server, path: str, body: dict[str, Any], read: Any) -> None:
    """They read what would be refused, or cut for want of another wish, and not what the request has cut."""
    expected = aliases.classify(LONG, CLASSIFIER, stride=8, max_length=40)[0]
    short = aliases.classify(LONG, CLASSIFIER, max_length=20)[0]

    assert read(ask(aliases, path, {"model": "long", **body})) == expected
    assert read(ask(aliases, path, {"model": "long", "max_length": 20, **body})) == short


def test_windows_of_an_alias_that_ranks(aliases: Server) -> None:
    """They read documents that TEI's clients do not ask to cut."""
    body = {"query": "hello", "texts": [LONG, "a film"], "label": "positive"}
    expected = ask(aliases, "/rerank", {"model": CLASSIFIER, "stride": 8, "max_length": 40, **body})

    assert ask(aliases, "/rerank", {"model": "long", **body}) == expected


def test_windows_of_an_alias_that_scores_candidate_labels(aliases: Server) -> None:
    """A request with a stride of its own and no `aggregate` has the alias's, and one with both has its own."""
    path, own = "/pipeline/zero-shot-classification/", {"candidate_labels": LABELS, "stride": 8, "max_length": 30}
    mean = ask(aliases, f"{path}org/nli", {"inputs": LONG, "parameters": {**own, "aggregate": "mean"}})
    best = ask(aliases, f"{path}org/nli", {"inputs": LONG, "parameters": own})

    assert best != mean == ask(aliases, f"{path}nli", {"inputs": LONG, "parameters": own})
    assert best == ask(aliases, f"{path}nli", {"inputs": LONG, "parameters": {**own, "aggregate": "max"}})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/{}", {"inputs": LONG}),
        ("/predict", {"inputs": LONG}),
        ("/classify", {"input": [LONG]}),
        ("/classify", {"input": [LONG], "raw_scores": False}),
        ("/v1/models/{}:predict", {"instances": [LONG], "parameters": {"top_k": 9}}),
        ("/rerank", {"query": "hello", "texts": [LONG, "a film"], "label": "positive"}),
        ("/v1/rerank", {"query": "hello", "documents": [LONG, "a film"], "label": "positive"}),
        ("/score", {"queries": "hello", "documents": [LONG, "a film"], "label": "positive"}),
        (
            "/pipeline/text-ranking/{}",
            {"inputs": {"query": "hello", "texts": [LONG]}, "parameters": {"label": "neutral"}},
        ),
    ],
)
def test_a_request_chooses_of_the_windows_of_an_alias(aliases: Server, path: str, body: dict[str, Any]) -> None:
    """What it says of `aggregate` and `return_windows` counts without a stride of its own."""
    own, how = {"stride": 8, "max_length": 40}, {"aggregate": "mean", "return_windows": True}

    def asked(model: str, **more: Any) -> Any:
        inside = {"parameters": {**body.get("parameters", {}), **more}} if "{}" in path else more
        reply = aliases.post(path.format(model), json={"model": model, **body, **inside})
        assert (200, False) == (reply.status_code, "x-hf-warning" in reply.headers), reply.text
        return without_ids(reply.json())

    assert asked(CLASSIFIER, **own, **how) == asked("long", **how)
    assert asked(CLASSIFIER, **own, aggregate="mean") == asked("long", aggregate="mean") != asked("long")
    assert "'windows'" in str(asked("long", **how))


def test_a_request_chooses_of_the_windows_of_an_alias_for_candidate_labels(aliases: Server) -> None:
    """Its `aggregate` counts without a stride of its own."""
    path, own = "/pipeline/zero-shot-classification/", {"candidate_labels": LABELS}
    best = {**own, "stride": 4, "max_length": 40, "aggregate": "max"}

    assert ask(aliases, f"{path}org/nli", {"inputs": LONG, "parameters": best}) == (
        ask(aliases, f"{path}nli", {"inputs": LONG, "parameters": {**own, "aggregate": "max"}})
    )


def test_an_alias_ranks_by_its_label(aliases: Server) -> None:
    """Where a request names none, as unmodified clients do; clients of TEI are told that it is a reranker."""
    body = {"query": "hello", "documents": DOCUMENTS}
    by_label = {label: ask(aliases, "/v1/rerank", {**body, "model": "mood", "label": label}) for label in MOODS}
    asked = ask(aliases, "/v1/rerank", {**body, "model": "ranker", "label": "negative"})

    assert by_label["good"]["results"] == ask(aliases, "/v1/rerank", {**body, "model": "ranker"})["results"]
    assert by_label["negative"]["results"] == asked["results"] != by_label["good"]["results"]
    assert 400 == aliases.post("/v1/rerank", json={**body, "model": "mood"}).status_code
    assert {"reranker"} == aliases.get("/models/ranker/info").json()["model_type"].keys()
