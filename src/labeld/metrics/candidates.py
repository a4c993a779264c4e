"""Counts of the second models of aliases: who answered of a split, and how a shadow's answers differ. Plain numbers."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SHIFTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Upper bounds of the buckets of score shifts."""
LABELS = ("alias", "model")

SplitOutcome = Literal["live", "candidate", "failed"]
"""The model that answered a request of a split; `failed` is counted beside `live` where it was not the live one's turn.
"""
ShadowOutcome = Literal["asked", "dropped", "failed"]
"""Of a request that a shadow was to be asked with; `asked` is one that it has answered."""
Comparison = tuple[bool, float | None]
"""Of one answer: whether the best label differs, and by how much the score of the live one's; None where it has none.
"""


@dataclass(slots=True)
class ShadowCounts:
    """What one alias's shadow did."""

    outcomes: dict[ShadowOutcome, int] = field(default_factory=lambda: {"asked": 0, "dropped": 0, "failed": 0})
    """Requests."""
    answers: int = 0
    """Answers compared."""
    flips: int = 0
    """Answers whose best label differs from the live one's."""
    shifts: list[int] = field(default_factory=lambda: [0] * (len(SHIFTS) + 1))
    """Answers by the bucket of their score shift, the last being of those above 1, which only raw logits reach."""
    shift: float = 0.0
    """Of all score shifts."""


class CandidateCounts(Collector):
    """Counts by alias and second model. Use it on the event loop."""

    def __init__(self) -> None:
        self._splits: dict[tuple[str, str], dict[SplitOutcome, int]] = {}
        self._shadows: dict[tuple[str, str], ShadowCounts] = {}

    def split(self, alias: str, model: str) -> dict[SplitOutcome, int]:
        """Requests of an alias that a second model answers a share of, to be counted up."""
        return self._splits.setdefault((alias, model), {"live": 0, "candidate": 0, "failed": 0})

    def shadow(self, alias: str, model: str) -> ShadowCounts:
        """The counts of an alias's shadow, to be counted up."""
        return self._shadows.setdefault((alias, model), ShadowCounts())

    def compare(self, alias: str, model: str, comparisons: Sequence[Comparison]) -> None:
        """Counts answers by how they differ."""
        one = self.shadow(alias, model)
        one.answers += len(comparisons)
        for flips, shift in comparisons:
            one.flips += flips
            if shift is not None:
                one.shifts[bisect_left(SHIFTS, shift)] += 1
                one.shift += shift

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """Members of a worker's status, whose numbers `summed` adds up."""
        return {
            "splits": [{"alias": alias, "model": model, **one} for (alias, model), one in self._splits.items()],
            "shadows": [
                {
                    "alias": alias,
                    "model": model,
                    **one.outcomes,
                    "answers": one.answers,
                    "flips": one.flips,
                    "scored": sum(one.shifts),
                    "shift": one.shift,
                }
                for (alias, model), one in self._shadows.items()
            ],
        }

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        answered = CounterMetricFamily(
            "labeld_split_requests",
            "Requests of an alias with a split, by the one of its models that answered.",
            labels=[*LABELS, "answered_by"],
        )
        failures = CounterMetricFamily(
            "labeld_split_failures",
            "Requests of a split that the live model answered because the other one could not.",
            labels=LABELS,
        )
        for key, counts in self._splits.items():
            answered.add_metric([*key, "live"], counts["live"])
            answered.add_metric([*key, "candidate"], counts["candidate"])
            failures.add_metric(key, counts["failed"])
        yield from (answered, failures)
        requests = CounterMetricFamily(
            "labeld_shadow_requests", "Requests that a shadow was to be asked with.", labels=[*LABELS, "result"]
        )
        answers = CounterMetricFamily("labeld_shadow_answers", "Answers of a shadow compared.", labels=LABELS)
        flips = CounterMetricFamily(
            "labeld_shadow_flips", "Answers of a shadow whose best label is not the live one's.", labels=LABELS
        )
        shifts = HistogramMetricFamily(
            "labeld_shadow_score_shift", "Difference of the scores of the live answer's best label.", labels=LABELS
        )
        for key, one in self._shadows.items():
            for result, count in one.outcomes.items():
                requests.add_metric([*key, result], count)
            answers.add_metric(key, one.answers)
            flips.add_metric(key, one.flips)
            shifts.add_metric(key, cumulated(SHIFTS, one.shifts), one.shift)
        yield from (requests, answers, flips, shifts)


def cumulated(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each bound with how many are not above it; `counts` has one more, of the rest."""
    total, buckets = 0, []
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


def summed(processes: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One member of `CandidateCounts.as_json` of several processes as one: each alias and model once."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for one in (one for process in processes for one in process):
        key = one["alias"], one["model"]
        known = sums.get(key)
        sums[key] = (
            one
            if known is None
            else {**one, **{name: value + known[name] for name, value in one.items() if name not in LABELS}}
        )
    return [*sums.values()]
