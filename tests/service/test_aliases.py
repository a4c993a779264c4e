"""Aliases of a configuration file: their labels, thresholds and windows in answers, with and without a server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from labeld import Classifier
from labeld.errors import InvalidRequestError, ModelBrokenError
from tests.support.paths import PACKAGE
from tests.support.server_process import Server, configured, wait_until

FILE = """\
settings: {models: [named], max_windows: 400}
models:
  named: {model: labeld/sentiment-en, rename: {NEGATIVE: no, POSITIVE: yes}}
  strict: {model: labeld/sentiment-en, rename: {NEGATIVE: no}, thresholds: {no: 0.5, POSITIVE: 0.999}}
  half: {model: labeld/sentiment-en, thresholds: 0.5}
  long: {model: labeld/sentiment-en, windows: {stride: 4, aggregate: mean, max_length: 16}}
  wrong: {model: labeld/sentiment-en, rename: {LABEL_0: bad}}
  calm: {model: labeld/sentiment-en, temperature: 2.5}
  wide: {model: labeld/sentiment-en, windows: {stride: 600}}
"""
PLAIN = "labeld/sentiment-en"
LONG = "I love this film. " * 3 + "It was bad and I hate it. " * 12


@pytest.fixture(scope="module")
def aliased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with these aliases, and with its answer cache."""
    folder = tmp_path_factory.mktemp("aliases")
    with configured(folder, FILE) as server:
        yield server


def test_labels_are_called_as_the_file_says(aliased: Server) -> None:
    """In every alias by its own names, whoever asked first, and with the scores of the model."""
    first = {model: aliased.classify("good", model) for model in ("named", PLAIN, "half")}
    again = {model: aliased.classify("good", model) for model in ("half", PLAIN, "named")}

    assert first == again
    names = {"POSITIVE": "yes", "NEGATIVE": "no"}
    assert [[{**one, "label": names[one["label"]]} for one in first[PLAIN][0]]] == first["named"]
    assert [["POSITIVE"]] == [[one["label"] for one in ranking] for ranking in first["half"]]


def test_a_server_answers_at_its_root_by_the_alias_of_its_first_model(aliased: Server) -> None:
    """As it was asked to load it."""
    assert "yes" == aliased.post("/", json={"inputs": "good"}).json()[0][0]["label"]


def test_thresholds_of_an_alias_are_defaults(aliased: Server) -> None:
    """By the names in answers; a request's own threshold takes their place."""
    assert [[]] == aliased.classify("good", "strict")
    assert ["no"] == [one["label"] for one in aliased.classify("bad", "strict")[0]]
    assert ["POSITIVE", "no"] == [one["label"] for one in aliased.classify("good", "strict", threshold=0)[0]]


def test_a_dialect_reads_in_the_windows_of_an_alias(aliased: Server) -> None:
    """Where it would cut else; and it gets the scores of all labels, whatever the alias's thresholds are."""
    question = {"query": "is it bad?", "documents": ["good " * 40, LONG], "label": "POSITIVE"}
    windows = {"stride": 4, "aggregate": "mean", "max_length": 16}
    by_alias = aliased.post("/v1/rerank", json={**question, "model": "long"})
    asked = aliased.post("/v1/rerank", json={**question, "model": PLAIN, **windows})
    cut = aliased.post("/v1/rerank", json={**question, "model": PLAIN, "max_length": 16})
    strict = aliased.post("/v1/rerank", json={**question, "model": "strict", "label": "no"})

    assert asked.json()["results"] == by_alias.json()["results"] != cut.json()["results"]
    assert 2 < int(by_alias.headers["x-windows"]) == int(asked.headers["x-windows"])
    assert ("2", False) == (cut.headers["x-truncated-texts"], "x-truncated-texts" in by_alias.headers)
    assert 2 == len(strict.json()["results"])


def test_windows_of_an_alias_are_defaults(aliased: Server) -> None:
    """As a request that asks for them; one that asks for truncation gets that."""
    asked = aliased.classify(LONG, PLAIN, stride=4, aggregate="mean", max_length=16)
    assert asked == aliased.classify(LONG, "long")
    assert asked != aliased.classify(LONG, PLAIN)

    assert aliased.classify(LONG, PLAIN, max_length=8) == aliased.classify(LONG, "long", max_length=8)
    assert aliased.classify(LONG, PLAIN, stride=2, aggregate="max", max_length=12) == (
        aliased.classify(LONG, "long", stride=2, aggregate="max", max_length=12)
    )


def test_a_request_chooses_how_windows_become_one_score(aliased: Server) -> None:
    """In every dialect that has windows its `max` counts, whatever the alias says."""
    own = {"stride": 4, "aggregate": "max", "max_length": 16}
    for path, body in (
        ("/v1/rerank", {"query": "is it bad?", "documents": [LONG, "good"], "label": "POSITIVE"}),
        ("/rerank", {"query": "is it bad?", "texts": [LONG, "good"], "label": "POSITIVE"}),
        ("/predict", {"inputs": LONG}),
        ("/classify", {"input": [LONG], "raw_scores": False}),
        ("/score", {"queries": "is it bad?", "documents": [LONG, "good"], "label": "POSITIVE"}),
    ):
        by_alias = aliased.post(path, json={**body, **own, "model": "long"}).json()
        by_id = aliased.post(path, json={**body, **own, "model": PLAIN}).json()
        mean = aliased.post(path, json={**body, **own, "aggregate": "mean", "model": PLAIN}).json()

        assert [_scores(by_id)] == [_scores(by_alias)] != [_scores(mean)], path


def _scores(value: Any) -> list[float]:
    """Every number of a reply but whole ones."""
    if isinstance(value, float):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [number for part in parts for number in _scores(part)]


def test_windows_of_an_alias_refuse_nothing_that_is_answered_without_them(aliased: Server) -> None:
    """A query that leaves them no room, and more windows than a request may have: texts are cut, as a header says."""
    long = {"query": "is it good? " * 300, "documents": [LONG, "bad"], "label": "POSITIVE"}
    many = {"query": "good?", "documents": [f"{LONG} {number}" for number in range(60)], "label": "POSITIVE"}
    for body in (long, many):
        cut = aliased.post("/v1/rerank", json={**body, "model": PLAIN})
        by_alias = aliased.post("/v1/rerank", json={**body, "model": "long"})

        assert (200, cut.json()["results"]) == (by_alias.status_code, by_alias.json()["results"])
        assert cut.headers.get("x-truncated-texts") == by_alias.headers.get("x-truncated-texts")
    assert 400 == aliased.post("/v1/rerank", json={**long, "model": "long", "stride": 4}).status_code

    hosted = aliased.post("/models/wide", json={"inputs": "good " * 600})
    assert ("1", 200) == (hosted.headers["x-truncated-texts"], hosted.status_code)
    assert aliased.classify("good " * 600, PLAIN, truncation=True) == hosted.json()
    refused = aliased.post("/models/wide", json={"inputs": "good " * 600, "parameters": {"stride": 600}})
    assert "`parameters.stride` is 600" in refused.json()["error"]
    wanted = aliased.post("/models/wide", json={"inputs": "good " * 600, "parameters": {"return_windows": True}})
    assert "`parameters.stride` is 600" in wanted.json()["error"]
    mean = aliased.post("/models/wide", json={"inputs": "good " * 600, "parameters": {"aggregate": "mean"}})
    assert (hosted.json(), True) == (mean.json(), mean.headers["x-hf-warning"].endswith(": aggregate"))


def test_a_temperature_divides_the_logits_before_softmax(aliased: Server) -> None:
    """The scores are those of transformers' logits divided by it; logits, and scores without an alias, stay."""
    folder = PACKAGE / "bundled" / PLAIN
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        (logits,) = model(**tokenizer("it was bad", return_tensors="pt")).logits
    expected = {
        name: dict(zip(("NEGATIVE", "POSITIVE"), scores.tolist(), strict=True))
        for name, scores in (("calm", (logits / 2.5).softmax(-1)), (PLAIN, logits.softmax(-1)), ("logits", logits))
    }

    first = {one: aliased.classify("it was bad", one) for one in (PLAIN, "calm", "half")}
    again = {one: aliased.classify("it was bad", one) for one in ("half", "calm", PLAIN)}
    unscaled = aliased.classify("it was bad", "calm", function_to_apply="none")

    assert first == again
    for name, found in (("calm", first["calm"]), (PLAIN, first[PLAIN]), ("logits", unscaled)):
        assert expected[name] == pytest.approx({one["label"]: one["score"] for one in found[0]}, abs=1e-5)


def test_an_alias_describes_itself_by_its_names(aliased: Server) -> None:
    """In /info and on its page."""
    info, page = aliased.get("/models/named/info").json(), aliased.get("/models/named").json()

    assert {"0": "no", "1": "yes"} == info["model_type"]["classifier"]["id2label"] == page["id2label"]


def test_a_label_that_the_model_does_not_have_is_an_error(aliased: Server) -> None:
    """The client's sentence has the labels, the log has the line."""
    reply = aliased.post("/models/wrong", json={"inputs": "good"})

    assert 500 == reply.status_code
    assert "has no label 'LABEL_0', only NEGATIVE, POSITIVE" in reply.json()["error"]
    assert "yaml" not in reply.json()["error"]
    assert wait_until(lambda: "labeld.yaml:7:48: " in aliased.log.read_text())


def test_how_windows_become_one_score_needs_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python `aggregate` is an error where no text is read in windows, and counts in those of an alias."""
    (tmp_path / "labeld.yaml").write_text(FILE)
    monkeypatch.setenv("LABELD_CONFIG", str(tmp_path / "labeld.yaml"))
    with Classifier(PLAIN) as classifier:
        with pytest.raises(InvalidRequestError, match=r"`aggregate` .* `stride`"):
            classifier("good", aggregate="mean")
        expected = classifier(LONG, stride=4, max_length=16)
    with Classifier("long") as classifier:
        assert expected == classifier(LONG, aggregate="max") != classifier(LONG)


def test_an_alias_is_a_model_of_the_python_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file that LABELD_CONFIG names."""
    (tmp_path / "labeld.yaml").write_text(FILE)
    monkeypatch.setenv("LABELD_CONFIG", str(tmp_path / "labeld.yaml"))
    with Classifier("strict") as classifier:
        assert [[], ["no"]] == [[one.label for one in ranking] for ranking in classifier(["good", "bad"])]
    with pytest.raises(ModelBrokenError, match="no label 'LABEL_0'"):
        Classifier("wrong")
