"""Metric families as plain data, and the sum of those of several processes."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Family = dict[str, Any]
"""A metric family as JSON has it: `name`, `help`, `type`, and `samples`, each of name, labels and value."""

EARLIEST = ("process_start_time_seconds",)
"""Gauges merged by their minimum over the processes, as the creation times of counters are."""
LARGEST = ("labeld_workers", "labeld_uptime_seconds", "process_max_fds", "labeld_info", "labeld_model_info")
"""Gauges merged by their maximum; all others are summed."""
OF_LOADED_MODELS = ("labeld_model_texts", "labeld_model_tokens")
"""Counters of a model since it was loaded."""


def plain(collector: Collector) -> list[Family]:
    """The families of a collector as plain data."""
    return [
        {
            "name": one.name,
            "help": one.documentation,
            "type": one.type,
            "samples": [[sample.name, sample.labels, sample.value] for sample in one.samples],
        }
        for one in collector.collect()
    ]


def lasting(families: Iterable[Family]) -> list[Family]:
    """The families that outlive their process: counters and histograms, but not those of its loaded models."""
    kept = (one for one in families if one["type"] in {"counter", "histogram"})
    return [one for one in kept if one["name"] not in OF_LOADED_MODELS]


def merged(processes: Iterable[Iterable[Family]]) -> list[Family]:
    """The families of all processes, each once, in the order in which they first appear."""
    heads: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family in (family for families in processes for family in families):
        name = family["name"]
        heads.setdefault(name, family)
        samples = values.setdefault(name, {})
        for sample, labels, value in family["samples"]:
            key = sample, tuple(labels.items())
            samples[key] = _combined(sample, samples[key], value) if key in samples else value
    return [
        {**head, "samples": [[sample, dict(labels), value] for (sample, labels), value in values[name].items()]}
        for name, head in heads.items()
    ]


def _combined(sample: str, one: float, other: float) -> float:
    if sample in EARLIEST or sample.endswith("_created"):
        return min(one, other)
    return max(one, other) if sample in LARGEST else one + other


class Families(Collector):
    """A collector of families that are plain data."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Each family."""
        for one in self._families:
            metric = Metric(one["name"], one["help"], one["type"])
            for name, labels, value in one["samples"]:
                metric.add_sample(name, labels, value)
            yield metric
