"""Second models of aliases: a split answers a share of the requests, a shadow is asked beside and compared."""

import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from tests.metrics.test_metrics import read, value
from tests.support.processor import needs_int8
from tests.support.server_process import PATIENT, Server, serving, wait_until
from tests.support.tiny_models import BERT, DISTILBERT, NAMES, WORDS, save

FILE = """\
settings: {models: [org/bert]}
models:
  named: {model: org/second, rename: {neutral: so-so}}
  split: {model: org/bert, rename: {positive: good}, split: {model: org/second, share: 0.3}}
  by-alias: {model: org/bert, rename: {neutral: so-so}, split: {model: named, share: 1}}
  dialects: {model: org/bert, split: {model: org/second, share: 1}}
  shadow: {model: org/bert, thresholds: 0.4, shadow: {model: org/second}}
  half: {model: org/bert, shadow: {model: org/second, share: 0.5}}
  nli: {model: org/nli, shadow: {model: org/nli-second}}
  broken: {model: org/bert, split: {model: org/broken, share: 1}, shadow: {model: org/broken}}
  absent: {model: org/bert, split: {model: org/absent, share: 1}}
  other: {model: org/bert, split: {model: org/distilbert, share: 1}, shadow: {model: org/distilbert}}
  short: {model: org/bert, split: {model: org/short, share: 1}}
  sentiment: {model: labeld/sentiment-en, shadow: {model: fast}}
  fast: {model: labeld/sentiment-en, precision: int8}
policies:
  both: {models: {dialects: {threshold: {negative: 0.5}}}}
"""
NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}


def texts_of(test: str, count: int) -> list[str]:
    """Texts that no other test asks with, so that none is cached."""
    words = [f"{one} {other}" for one in WORDS for other in WORDS]
    return [f"{words[index]} {test} {index}" for index in range(count)]


@pytest.fixture(scope="module")
def candidates_dir(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small models, and second ones of other shapes and weights."""
    root = tmp_path_factory.mktemp("candidates") / "models"
    shutil.copytree(models_dir, root)
    save(DistilBertForSequenceClassification, DistilBertConfig(**DISTILBERT, id2label=NAMES), root / "org/second")
    save(BertForSequenceClassification, BertConfig(**BERT, id2label=NLI), root / "org/nli")
    save(DistilBertForSequenceClassification, DistilBertConfig(**DISTILBERT, id2label=NLI), root / "org/nli-second")
    short = BERT | {"max_position_embeddings": 64}
    save(BertForSequenceClassification, BertConfig(**short, id2label=NAMES), root / "org/short")
    shutil.copytree(root / "org/bert", root / "org/broken")
    weights = root / "org/broken/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return root


@pytest.fixture(scope="module")
def serves(candidates_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these aliases, with its answer cache."""
    folder = tmp_path_factory.mktemp("serves")
    (folder / "labeld.yaml").write_text(FILE)
    arguments = ("--config", str(folder / "labeld.yaml"), "--models-dir", str(candidates_dir))
    with serving(folder, *arguments, *PATIENT) as server:
        yield server


def loaded(server: Server, alias: str, *models: str) -> None:
    """Asks an alias until its second models are loaded."""
    texts = iter(texts_of("load", 400))

    def ask() -> bool:
        server.classify(next(texts), alias)
        time.sleep(0.1)
        here = {one["model_id"] for one in server.get("/status").json()["models"]}
        return {*models} <= here

    assert wait_until(ask, 60)


def shadow_of(server: Server, alias: str) -> dict[str, Any]:
    """The counts of an alias's shadow."""
    [one] = [one for one in server.get("/status").json()["shadows"] if one["alias"] == alias]
    return one


def settled(server: Server, alias: str) -> dict[str, Any]:
    """The counts of an alias's shadow, once they stay as they are."""
    seen: list[dict[str, Any]] = [{}]
    assert wait_until(lambda: seen.append(shadow_of(server, alias)) or seen[-1] == seen[-2], 30)
    return seen[-1]


def test_a_split_answers_its_share(serves: Server) -> None:
    """Evenly by text, always by the same model, as that model answers, with the alias's names, and counted."""
    loaded(serves, "split", "org/second")
    before, texts = read(serves), texts_of("split", 200)
    replies = [serves.post("/models/split", json={"inputs": text}) for text in texts]
    again = [serves.post("/models/split", json={"inputs": text, "parameters": {"top_k": 2}}) for text in texts]
    series = read(serves)
    by = [one.headers["x-model"] for one in replies]

    assert by == [one.headers["x-model"] for one in again]
    assert {"org/bert", "org/second"} == {*by}
    assert 35 <= by.count("org/second") <= 85  # 60 of 200, within four deviations
    for text, reply, model in zip(texts, replies, by, strict=True):
        own = serves.post(f"/models/{model}", json={"inputs": text})
        names = [{**one, "label": "good" if one["label"] == "positive" else one["label"]} for one in own.json()[0]]
        assert ([names], own.headers["x-sha"]) == (reply.json(), reply.headers["x-sha"])
    for answered_by, model in (("live", "org/bert"), ("candidate", "org/second")):
        labels = {"alias": "split", "model": "org/second", "answered_by": answered_by}
        grown = value(series, "split_requests_total", **labels) - value(before, "split_requests_total", **labels)
        assert 2 * by.count(model) == grown
    assert "x-model" not in serves.post("/models/org/bert", json={"inputs": "you"}).headers


def test_a_second_model_may_be_an_alias(serves: Server) -> None:
    """Whose own names of labels count."""
    loaded(serves, "by-alias", "org/second")
    reply = serves.post("/models/by-alias", json={"inputs": "the film"})

    assert "named" == reply.headers["x-model"]
    assert serves.classify("the film", "named") == reply.json()


def test_every_dialect_is_split(serves: Server) -> None:
    """By the one way that they have to a model, policies included."""
    loaded(serves, "dialects", "org/second")
    question = {"model": "dialects", "query": "the film", "documents": ["was good", "fell"], "label": "positive"}
    ranked = serves.post("/v1/rerank", json=question)
    classified = serves.post("/classify", json={"model": "dialects", "input": "the film"})
    moderated = serves.post("/v1/moderations", json={"input": "the film", "model": "both"})
    own = {model: dict_of(serves.classify("the film", model)[0]) for model in ("org/bert", "org/second")}

    assert ["org/second"] * 2 == [one.headers["x-model"] for one in (ranked, classified)]
    assert (
        ranked.json()["results"]
        == serves.post("/v1/rerank", json={**question, "model": "org/second"}).json()["results"]
    )
    assert sorted(own["org/second"].values()) == sorted(classified.json()["data"][0]["probs"])
    scores = moderated.json()["results"][0]["category_scores"]
    assert own["org/second"]["negative"] == pytest.approx(scores["negative"])


def dict_of(ranking: list[dict[str, Any]]) -> dict[str, float]:
    """Scores by label."""
    return {one["label"]: one["score"] for one in ranking}


def test_a_shadow_is_compared(serves: Server) -> None:
    """Flips and score shifts are those between both models' own answers, thresholds included; it never answers."""
    loaded(serves, "shadow", "org/second")
    before, start = settled(serves, "shadow"), read(serves)
    asked = texts_of("shadow", 60)
    answers = []
    for number, text in enumerate(asked, 1):  # each once the one before was compared: nothing is dropped
        answers += serves.classify(text, "shadow")
        assert wait_until(lambda: sum_of(shadow_of(serves, "shadow")) == sum_of(before) + number, 30)  # noqa: B023
    ours, theirs = ([serves.classify(text, model)[0] for text in asked] for model in ("org/bert", "org/second"))
    counts, series = shadow_of(serves, "shadow"), read(serves)

    assert [[one for one in ranking if one["score"] >= 0.4] for ranking in ours] == answers
    kept = [[one["label"] for one in ranking if one["score"] >= 0.4][:1] for ranking in theirs]
    flips = sum([one["label"] for one in answer][:1] != best for answer, best in zip(answers, kept, strict=True))
    assert 0 < flips == counts["flips"] - before["flips"] < len(asked)
    shifts = [
        abs(answer[0]["score"] - dict_of(all_)[answer[0]["label"]])
        for answer, all_ in zip(answers, theirs, strict=True)
        if answer
    ]
    labels = {"alias": "shadow", "model": "org/second"}
    grown = {
        name: value(series, f"shadow_{name}", **labels) - value(start, f"shadow_{name}", **labels)
        for name in ("score_shift_sum", "score_shift_count", "flips_total", "answers_total")
    }
    expected = {
        "score_shift_sum": sum(shifts),
        "score_shift_count": len(shifts),
        "flips_total": flips,
        "answers_total": 60,
    }
    assert pytest.approx(expected, abs=1e-5) == grown
    assert counts["flip_share"] == round(counts["flips"] / counts["answers"], 4)
    assert "x-model" not in serves.post("/models/shadow", json={"inputs": "you"}).headers


def test_a_shadow_has_its_share_of_what_is_computed(serves: Server) -> None:
    """A cached answer was compared when it was computed."""
    loaded(serves, "half", "org/second")
    before, texts = sum_of(settled(serves, "half")), texts_of("half", 100)
    serves.classify(texts[:50], "half")  # one request, asked with or not
    for text in texts:
        serves.classify(text, "half")
    first = sum_of(settled(serves, "half")) - before
    for text in texts:
        serves.classify(text, "half")

    assert 10 <= first <= 41  # of 51, within four deviations
    assert first == sum_of(settled(serves, "half")) - before


def test_rerank_and_zero_shot_are_compared_as_they_answer(serves: Server) -> None:
    """By the best document, and by the best candidate label of each text."""
    serves.classify("you", "nli")
    loaded(serves, "nli", "org/nli-second")
    before = settled(serves, "nli")
    question = {"query": "the film was good", "documents": texts_of("rerank", 10)}
    texts = {"inputs": texts_of("nli", 20), "parameters": {"candidate_labels": ["market", "day", "world"]}}

    def ask(model: str) -> tuple[list[Any], list[Any]]:
        ranked = serves.post("/v1/rerank", json={**question, "model": model}).json()["results"]
        labels = serves.post(f"/models/{model}", json=texts).json()
        return [(ranked[0]["index"], {one["index"]: one["relevance_score"] for one in ranked})], [
            (one[0]["label"], dict_of(one)) for one in labels
        ]

    live = [one for part in ask("nli") for one in part]
    assert wait_until(lambda: shadow_of(serves, "nli")["answers"] == before["answers"] + 21, 30)
    other = [one for part in ask("org/nli-second") for one in part]
    counts = shadow_of(serves, "nli")

    flips = sum(ours[0] != theirs[0] for ours, theirs in zip(live, other, strict=True))
    assert 0 < flips == counts["flips"] - before["flips"]
    shifts = [abs(ours[1][ours[0]] - theirs[1][ours[0]]) for ours, theirs in zip(live, other, strict=True)]
    total = counts["score_shift"] * counts["answers"] - (before["score_shift"] or 0) * before["answers"]
    assert sum(shifts) == pytest.approx(total, abs=0.01)


@pytest.mark.parametrize(
    ("alias", "model", "sentence"),
    [
        ("broken", "org/broken", "cannot be loaded: model.safetensors"),
        ("absent", "org/absent", "Model org/absent does not exist"),
        ("other", "org/distilbert", "have the labels LABEL_0, LABEL_1, but those of other negative, neutral, positive"),
    ],
)
def test_the_live_model_answers_for_one_that_cannot(serves: Server, alias: str, model: str, sentence: str) -> None:
    """No client notices; it is counted, and logged once with its line."""
    expected = serves.classify("the film was good", "org/bert")

    def says() -> bool:
        reply = serves.post(f"/models/{alias}", json={"inputs": "the film was good"})
        assert (200, expected, "org/bert") == (reply.status_code, reply.json(), reply.headers["x-model"])
        return f"the split {model} of {alias} does not answer: " in serves.log.read_text()

    assert wait_until(says, 60)
    assert sentence in serves.log.read_text()
    for text in texts_of(alias, 20):
        assert 200 == serves.post(f"/models/{alias}", json={"inputs": text}).status_code
    series, log = read(serves), serves.log.read_text()
    assert value(series, "split_failures_total", alias=alias, model=model) >= 20
    assert value(series, "split_requests_total", alias=alias, model=model, answered_by="live") >= 20
    [(number, line)] = [one for one in enumerate(FILE.splitlines(), 1) if one[1].startswith(f"  {alias}:")]
    column = line.index("split: {model") + len("split: {") + 1
    assert 1 == log.count(f"labeld.yaml:{number}:{column}: the split {model} of {alias} does not answer: ")
    if alias != "absent":
        assert wait_until(lambda: shadow_of(serves, alias)["failed"] >= 20, 30)
        assert 0 == shadow_of(serves, alias)["answers"]
        assert 1 == serves.log.read_text().count(f"the shadow {model} of {alias} does not answer")


def test_a_text_that_only_the_live_model_can_read(serves: Server) -> None:
    """Is answered by it; one that neither can is that model's own error and nobody's failure."""
    loaded(serves, "short", "org/short")
    long, longest = "film " * 100, "film " * 500
    labels = {"alias": "short", "model": "org/short"}

    assert "org/bert" == serves.post("/models/short", json={"inputs": long}).headers["x-model"]
    failed = value(read(serves), "split_failures_total", **labels)
    wrong, own = (serves.post(f"/models/{name}", json={"inputs": longest}) for name in ("short", "org/bert"))
    assert (400, own.json()) == (wrong.status_code, wrong.json())
    assert failed == value(read(serves), "split_failures_total", **labels)
    assert "org/short" == serves.post("/models/short", json={"inputs": "film"}).headers["x-model"]


def test_shadows_are_dropped_under_load(serves: Server) -> None:
    """While other texts wait, every request is answered and its shadow is dropped; afterwards it is asked again."""
    loaded(serves, "shadow", "org/second")
    before, texts = settled(serves, "shadow"), texts_of("load", 40)
    with serves.occupied(), ThreadPoolExecutor(8) as pool:
        assert wait_until(lambda: any(one["waiting"]["texts"] > 100 for one in serves.get("/status").json()["models"]))
        answers = [*pool.map(lambda text: serves.classify(f"{text}.", "shadow"), texts)]
        assert wait_until(lambda: sum_of(shadow_of(serves, "shadow")) == sum_of(before) + 40)
        busy = shadow_of(serves, "shadow")
    assert wait_until(lambda: not any(one["waiting"]["texts"] for one in serves.get("/status").json()["models"]), 30)

    assert answers == [serves.classify(f"{text}.", "org/bert", threshold=0.4) for text in texts]
    assert 40 == busy["dropped"] - before["dropped"]
    serves.classify("nobody else is here", "shadow")
    assert wait_until(lambda: shadow_of(serves, "shadow")["asked"] > busy["asked"], 30)
    assert 0 == shadow_of(serves, "shadow")["failed"]


@needs_int8
def test_a_shadow_may_be_another_precision(serves: Server) -> None:
    """Of the same files, whose answers flip little."""
    loaded(serves, "sentiment", "fast")
    before = shadow_of(serves, "sentiment")["answers"]
    for text in texts_of("precision", 10):
        serves.classify(text, "sentiment")

    assert wait_until(lambda: shadow_of(serves, "sentiment")["answers"] > before, 30)
    assert 0 < shadow_of(serves, "sentiment")["score_shift"] < 0.1


def sum_of(counts: dict[str, Any]) -> int:
    """Requests that a shadow was to be asked with."""
    return sum(int(counts[name]) for name in ("asked", "dropped", "failed"))


def test_the_page_shows_both(serves: Server) -> None:
    """The table of second models."""
    page = serves.session.get(f"{serves.url}/status", headers={"accept": "text/html"}, timeout=60).text

    assert "Second models" in page
    assert "org/second" in page


def test_a_reload_changes_shares(candidates_dir: Path, tmp_path: Path) -> None:
    """All or nothing, and without a request lost; counts of what is gone are not shown any more."""
    file = tmp_path / "labeld.yaml"

    def write(entry: str) -> None:
        file.write_text(f"settings: {{models: [it]}}\nmodels:\n  it: {{model: org/bert, {entry}}}\n")

    write("split: {model: org/second, share: 1}")
    with serving(tmp_path, "--config", str(file), "--models-dir", str(candidates_dir)) as server:

        def by() -> str | None:
            return server.post("/models/it", json={"inputs": "you"}).headers.get("x-model")

        assert wait_until(lambda: by() == "org/second", 60)
        write("split: {model: org/second, share: 2}")
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "share is '2'" in server.log.read_text())
        assert "org/second" == by()
        write("shadow: {model: org/second, share: 1}")
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: by() is None, 60)
        assert wait_until(lambda: server.get("/status").json()["splits"] == [], 10)
        assert [("it", "org/second")] == [
            (one["alias"], one["model"]) for one in server.get("/status").json()["shadows"]
        ]
