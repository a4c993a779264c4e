"""Answers of each model by their best label and its score: how a model's answers shift while it serves.

Counted in plain numbers: a counter and a histogram of prometheus-client take 2.7 µs for each text, and this 1.1.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from labeld.metrics.candidates import cumulated
from labeld.types import Answer

MAX_MODELS = 256
"""Models that are counted; beyond that the one whose last answer is the longest ago is forgotten."""
MAX_LABELS = 64
"""Labels of a model that are counted by their name."""
OTHER = "…other"
"""The name under which the answers with any further label are counted together."""
SCORES = tuple(tenths / 10 for tenths in range(1, 11))
"""Upper bounds of the buckets of scores."""


@dataclass(slots=True)
class ModelCounts:
    """The answers of one model."""

    labels: dict[str, int] = field(default_factory=dict)
    """Answers by their best label."""
    scores: list[int] = field(default_factory=lambda: [0] * (len(SCORES) + 1))
    """Answers by the bucket of their best score, the last being of those above 1, which only raw logits reach."""
    sum: float = 0.0
    """Of the best scores."""


class TopLabels(Collector):
    """Counts of the best labels and scores. Use it on the event loop."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, ModelCounts] = OrderedDict()  # the one counted last at the end

    def expect(self, model_id: str, labels: Iterable[str]) -> None:
        """A model has these labels, which are shown from now on; those that come first in it are counted by name."""
        known = self._counts(model_id).labels
        for label in labels:
            if len(known) < MAX_LABELS:
                known.setdefault(label, 0)

    def count(self, model_id: str, answers: Sequence[Answer]) -> None:
        """Counts each answer; one without a label, because none had a score above the threshold, is left out."""
        one = self._counts(model_id)
        labels, scores = one.labels, one.scores
        for answer in answers:
            label, score = answer.top_label, answer.top_score
            if label is None:
                continue
            if label not in labels and len(labels) >= MAX_LABELS:
                label = OTHER
            labels[label] = labels.get(label, 0) + 1
            scores[bisect_left(SCORES, score)] += 1
            one.sum += score

    def labels(self, model_id: str) -> dict[str, int]:
        """A model's answers by their best label; empty where it has none."""
        one = self._models.get(model_id)
        return {_encodable(label): texts for label, texts in one.labels.items()} if one else {}

    def collect(self) -> Iterator[Metric]:
        """Both families."""
        labels = CounterMetricFamily(
            "labeld_top_label", "Texts answered, by the best label.", labels=["model", "label"]
        )
        scores = HistogramMetricFamily("labeld_top_score", "Score of the best label.", labels=["model"])
        for model_id, one in self._models.items():
            for label, texts in self.labels(model_id).items():
                labels.add_metric([model_id, label], texts)
            scores.add_metric([model_id], cumulated(SCORES, one.scores), one.sum)
        yield from (labels, scores)

    def _counts(self, model_id: str) -> ModelCounts:
        one = self._models.get(model_id)
        if one is None:
            if len(self._models) >= MAX_MODELS:
                self._models.popitem(last=False)
            one = self._models[model_id] = ModelCounts()
        else:
            self._models.move_to_end(model_id)
        return one


def _encodable(label: str) -> str:
    """The label; half a surrogate pair, which a config.json can hold and UTF-8 cannot, as its escape."""
    return label.encode("utf-8", "backslashreplace").decode()
