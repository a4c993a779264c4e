"""What the configuration file says of an alias holds in every dialect that can show it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dialect_bodies import CLASSIFIER, DOCUMENTS, LABELS
from tests.support.server_process import Server, configured
from tests.web.dialects.test_ignored import without_ids
from tests.web.dialects.test_zero_shot import PATHS, TEMPLATE, TEXT, ask

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
  topics:
    model: org/nli
    zero_shot: {{hypothesis_template: "{TEMPLATE}", multi_label: true, candidate_labels: [{", ".join(LABELS)}]}}
  likely: {{model: org/nli, zero_shot: {{multi_label: true}}}}
  wrong: {{model: {CLASSIFIER}, zero_shot: {{multi_label: true}}}}
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


ZERO_SHOT = "/pipeline/zero-shot-classification/"
DEFAULTS = {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE, "multi_label": True}
OLD = {"user-agent": "unknown/None; hf_hub/0.25.2; python/3.11"}


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"candidate_labels": ["film", "hello"]},
        {"hypothesis_template": "{} is good"},
        {"multi_label": False},
        {"candidate_labels": "film, hello", "hypothesis_template": "{} is good", "multi_label": False},
        {"top_k": 1},
        {"candidate_labels": []},
        {"candidate_labels": None, "hypothesis_template": None, "multi_label": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("inputs", [TEXT, DOCUMENTS], ids=["text", "list"])
def test_an_alias_scores_its_candidate_labels(aliases: Server, own: dict[str, Any], inputs: Any) -> None:
    """What a request says of labels, template and several labels wins, each by itself; both shapes of replies stay."""
    said = {name: value for name, value in own.items() if value not in (None, [])}
    body = {"inputs": inputs, "parameters": {**DEFAULTS, **said}}
    for headers in ({}, OLD):
        expected = ask(aliases, f"{ZERO_SHOT}org/nli", body, **headers)

        for path in PATHS[1:]:
            named = path.format("topics", task="zero-shot-classification")
            assert expected == ask(aliases, named, {"inputs": inputs, "parameters": own}, **headers)
        if "candidate_labels" in own:
            assert expected == ask(aliases, "/models/topics", {"inputs": inputs, "parameters": own}, **headers)


def test_an_alias_classifies_by_its_candidate_labels(aliases: Server) -> None:
    """A hosted request that names no task and no labels gets the ranking of the alias's, in the shape that it reads."""
    body = {"inputs": DOCUMENTS, "parameters": DEFAULTS}
    expected = ask(aliases, f"{ZERO_SHOT}org/nli", body)

    for headers in ({}, OLD):
        for asked in ({"inputs": DOCUMENTS}, {"inputs": DOCUMENTS, "parameters": {}}, DOCUMENTS):
            assert expected == ask(aliases, "/models/topics", asked, **headers)
        assert expected[:1] == ask(aliases, "/hf-inference/models/topics", {"inputs": DOCUMENTS[0]}, **headers)
    best = ask(aliases, "/models/topics", {"inputs": {"text": DOCUMENTS[0]}, "parameters": {"top_k": 1}})
    assert [expected[0][:1]] == best
    assert expected == ask(aliases, "/invocations", {"model": "topics", "inputs": DOCUMENTS})
    assert [] == ask(aliases, "/models/topics", {"inputs": []})


def test_pairs_and_other_dialects_have_the_labels_of_the_model(aliases: Server) -> None:
    """A pair is no text for candidate labels, and so is answered as by the model's id."""
    pair = {"inputs": {"text": TEXT, "text_pair": "good"}}

    assert ask(aliases, "/models/org/nli", pair) == ask(aliases, "/models/topics", pair)
    assert ask(aliases, "/models/org/nli", {"inputs": TEXT}) == ask(aliases, "/models/likely", {"inputs": TEXT})
    by_id, by_alias = (ask(aliases, "/predict", {"model": model, "inputs": TEXT}) for model in ("org/nli", "topics"))
    assert by_id == by_alias


def test_other_dialects_of_zero_shot_classification(aliases: Server) -> None:
    """Jina's has the alias's labels and its other defaults, and Vertex AI's the latter."""
    said = {"labels": LABELS, "hypothesis_template": TEMPLATE, "multi_label": True}
    jina = ask(aliases, "/v1/classify", {"model": "org/nli", "input": DOCUMENTS, **said})
    vertex = {"instances": DOCUMENTS, "parameters": {"candidate_labels": LABELS}}
    expected = ask(aliases, "/vertex", {"model": "org/nli", **vertex, "parameters": {**DEFAULTS}})

    assert jina["data"] == ask(aliases, "/v1/classify", {"model": "topics", "input": DOCUMENTS})["data"]
    assert expected == ask(aliases, "/vertex", {"model": "topics", **vertex})


def test_the_page_of_an_alias_has_its_labels(aliases: Server) -> None:
    """Its widget begins with them, with the template, and with several labels; the address wins."""
    page = f"{aliases.url}/models/topics?task=zero-shot-classification"
    seen = aliases.session.get(page, headers={"accept": "text/html"}).text
    own = aliases.session.get(f"{page}&text=a&labels=b&template={{}}!", headers={"accept": "text/html"}).text

    for of_alias, of_address in ((", ".join(LABELS), "b"), (TEMPLATE, "{}!")):
        assert f'value="{of_alias}"' in seen
        assert f'value="{of_address}"' in own
    assert ('id="multi-label" checked' in seen, 'id="multi-label" checked' in own) == (True, False)


@pytest.mark.parametrize("model", ["likely", "org/nli"])
def test_a_request_without_labels_needs_an_alias_that_has_some(aliases: Server, model: str) -> None:
    """Else it is refused, with the member that is missing."""
    for path, body in ((f"{ZERO_SHOT}{model}", {"inputs": TEXT}), ("/v1/classify", {"model": model, "input": TEXT})):
        reply = aliases.post(path, json=body)

        assert reply.status_code == 400
        assert "labels` has no label" in reply.text


def test_an_alias_of_a_model_without_entailment(aliases: Server) -> None:
    """Cannot have defaults of zero-shot classification: it answers nothing, and the log has the line."""
    reply = aliases.post("/models/wrong", json={"inputs": TEXT})

    assert (500, True) == (reply.status_code, "no label of entailment, only negative" in reply.json()["error"])
    assert "labeld.yaml:18:" in aliases.log.read_text()
