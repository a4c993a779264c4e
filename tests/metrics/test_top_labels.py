"""Best labels and scores of each model: counted once per text, bounded, and shown in /metrics and /status."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest

from labeld.metrics.top_labels import MAX_LABELS, MAX_MODELS, OTHER, TopLabels
from labeld.types import Answer
from tests.metrics.test_metrics import Series, parsed, read, value
from tests.support.server_process import Server, serving

TEXTS = ["I like you. I love you", "not very good - it was bad", "the market fell", "hello"]


@pytest.fixture(scope="module")
def counting(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose cache is on."""
    with serving(tmp_path_factory.mktemp("labels"), "org/bert", "--models-dir", str(models_dir)) as running:
        yield running


def answer(label: str | None, score: float = 0.5) -> Answer:
    """An answer with this best label."""
    return Answer(b"[]", 0.1, top_label=label, top_score=score)


def exposed(counts: TopLabels) -> Series:
    """The two families as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(counts)
    return parsed(generate_latest(registry).decode())


def test_each_answer_counts_by_its_best_label(
    counting: Server, expected: Callable[..., list[list[dict[str, Any]]]]
) -> None:
    """Computed or cached, as transformers answers; the labels that no answer had are there with 0."""
    best = [ranking[0] for ranking in expected("org/bert", TEXTS)]
    labels = {one["label"] for ranking in expected("org/bert", TEXTS[:1]) for one in ranking}
    counting.classify(TEXTS)
    counting.classify(TEXTS, top_k=1)
    counting.classify(TEXTS, stride=8, max_length=16, return_windows=True)
    assert "cache" == counting.post("/models/org/bert", json={"inputs": TEXTS}).headers["x-compute-type"]
    series = read(counting)

    for label in labels:
        count = 4 * sum(one["label"] == label for one in best)
        assert count == value(series, "top_label_total", model="org/bert", label=label)
        assert ("labeld_top_label_total", (("label", label), ("model", "org/bert"))) in series
    assert 16 == value(series, "top_score_count", model="org/bert")
    assert pytest.approx(4 * sum(one["score"] for one in best)) == value(series, "top_score_sum", model="org/bert")
    for tenths in range(1, 11):
        below = 4 * sum(one["score"] <= tenths / 10 for one in best)
        assert below == value(series, "top_score_bucket", model="org/bert", le=str(tenths / 10))


def test_the_status_has_the_shares(counting: Server) -> None:
    """The commonest labels of a loaded model as JSON and on the page; a text that has no label counts nowhere."""
    counting.classify(TEXTS)
    counting.classify(TEXTS, threshold=1.0)
    series = read(counting)
    [model] = [one for one in counting.get("/status").json()["models"] if one["model_id"] == "org/bert"]
    shares = model["top_labels"]
    page = requests.get(f"{counting.url}/status", headers={"accept": "text/html"}, timeout=60).text

    assert 1 == pytest.approx(sum(one["share"] for one in shares))
    assert sum(one["texts"] for one in shares) == value(series, "top_score_count", model="org/bert")
    for one in shares:
        assert one["texts"] == value(series, "top_label_total", model="org/bert", label=one["label"])
        assert f"<bdi>{one['label']}</bdi>&nbsp;{100 * one['share']:.0f} %" in page


def test_the_labels_of_a_model_are_bounded() -> None:
    """Those that come first in it have a series each, and all others one together."""
    counts = TopLabels()
    names = [f"label {number}" for number in range(3 * MAX_LABELS)]
    counts.expect("org/many", names)
    counts.count("org/many", [answer(name) for name in reversed(names)])
    series = exposed(counts)

    labels = {dict(labels)["label"]: count for (name, labels), count in series.items() if "top_label_total" in name}
    assert {**dict.fromkeys(names[:MAX_LABELS], 1.0), OTHER: 2 * MAX_LABELS} == labels


def test_the_models_are_bounded() -> None:
    """The one that has not answered for the longest leaves, and begins anew when it answers again."""
    counts = TopLabels()
    counts.count("first", [answer("a")])
    for number in range(MAX_MODELS - 1):
        counts.count(f"org/{number}", [answer("a")])
    counts.count("first", [answer("a")])
    counts.count("new", [answer("b")])
    series = exposed(counts)

    assert MAX_MODELS == sum(name == "labeld_top_score_count" for name, _ in series)
    assert 2 == value(series, "top_label_total", model="first", label="a")
    assert {} == counts.labels("org/0")


def test_scores_that_are_no_probabilities_have_a_bucket() -> None:
    """Raw logits may be below 0 or above 1."""
    counts = TopLabels()
    counts.count("m", [answer("a", -3.0), answer("a", 0.1), answer("b", 0.95), answer("b", 1.0), answer("b", 7.0)])
    series = exposed(counts)

    buckets = [value(series, "top_score_bucket", model="m", le=bound) for bound in ("0.1", "0.9", "1.0", "+Inf")]
    assert [2, 2, 4, 5] == buckets


def test_any_label_can_be_exposed() -> None:
    """Quotes, line ends and a half of a surrogate pair, which a config.json can hold."""
    counts = TopLabels()
    counts.count("m", [answer('a"b\n\\'), answer("\ud800")])
    series = exposed(counts)

    assert 1 == value(series, "top_label_total", model="m", label='a"b\n\\')
    assert 1 == value(series, "top_label_total", model="m", label="\\ud800")
