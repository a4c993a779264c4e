"""An Observer that counts events for Prometheus; only service/build.py and web/factory.py know of it.

No labels but those whose values are known beforehand (a route's template, a status, a setting's name, an alias of the
configuration file) and those of a bounded number of models that have answered, so nothing that a client sends makes a
series. States (loaded models, queues, memory) are read when they are asked for: `web/monitoring/status.py`.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from labeld.metrics.candidates import CandidateCounts, Comparison, ShadowOutcome, SplitOutcome
from labeld.metrics.families import Family, plain
from labeld.metrics.top_labels import TopLabels
from labeld.metrics.totals import Totals
from labeld.types import Answer

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Metrics:
    """An Observer that counts for Prometheus, of one process and with a registry of its own."""

    def __init__(self) -> None:
        self.totals = Totals()
        """Counts as plain numbers, for the history of `web/monitoring/history.py`."""
        self.top_labels = TopLabels()
        """Counts by model, which `/status` shows, too."""
        self.candidates = CandidateCounts()
        """Counts of second models, which `/status` shows, too."""
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("labeld_requests", "Requests answered.", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "labeld_request_seconds", "From a request's headers to its reply.", buckets=SECONDS, registry=registry
        )
        self._refusals = Counter(
            "labeld_refusals", "Requests refused with 429, by the limit that was reached.", ["limit"], registry=registry
        )
        self._rejected = Counter(
            "labeld_rejected",
            "Connections and requests refused before a route was looked for.",
            ["status"],
            registry=registry,
        )
        cache = Counter("labeld_cache_texts", "Texts looked up in the cache.", ["result"], registry=registry)
        self._memory, self._redis, self._missed = (cache.labels(one) for one in ("memory", "redis", "miss"))
        self._tokens = Counter("labeld_tokens", "Tokens computed.", registry=registry)
        self._queue = Histogram(
            "labeld_queue_seconds", "From a text's arrival to its batch.", buckets=SECONDS, registry=registry
        )
        self._compute = Histogram(
            "labeld_compute_seconds", "What a batch took in the engine.", buckets=SECONDS, registry=registry
        )
        self._batch_texts = Histogram("labeld_batch_texts", "Texts of a batch.", buckets=TEXTS, registry=registry)
        self._batch_tokens = Histogram("labeld_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=registry)
        registry.register(self.top_labels)
        registry.register(self.candidates)
        self._answered: dict[tuple[str, int], Counter] = {}  # NOTE: `labels` takes 2 µs, and this look-up 0.1

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request, and its time."""
        counter = self._answered.get((route, status))
        if counter is None:
            counter = self._answered[route, status] = self._requests.labels(route, status)
        counter.inc()
        self._seconds.observe(seconds)

    def refused(self, limit: str) -> None:
        """Counts a refusal by its limit."""
        self._refusals.labels(limit).inc()

    def rejected(self, status: int) -> None:
        """Counts a refusal by the connection: a bad head, a slow request, or too many connections."""
        self._rejected.labels(status).inc()

    def looked_up(self, memory: int, redis: int, missed: int) -> None:
        """Counts texts by where their answer was found."""
        self.totals.hits += memory + redis
        self.totals.misses += missed
        if memory:
            self._memory.inc(memory)
        if redis:
            self._redis.inc(redis)
        if missed:
            self._missed.inc(missed)

    def labels(self, model_id: str, labels: Sequence[str]) -> None:
        """Shows the labels of a model before the first answer has them."""
        self.top_labels.expect(model_id, labels)

    def answered(self, model_id: str, answers: Sequence[Answer]) -> None:
        """Counts answers by their best label and its score."""
        self.top_labels.count(model_id, answers)

    def split(self, alias: str, model: str, outcome: SplitOutcome) -> None:
        """Counts a request by the model that answered it."""
        self.candidates.split(alias, model)[outcome] += 1

    def shadow(self, alias: str, model: str, outcome: ShadowOutcome) -> None:
        """Counts a request by what became of it."""
        self.candidates.shadow(alias, model).outcomes[outcome] += 1

    def compared(self, alias: str, model: str, comparisons: Sequence[Comparison]) -> None:
        """Counts flips and score shifts."""
        self.candidates.compare(alias, model, comparisons)

    def batch(self, tokens: int, seconds: float, waits: Sequence[float]) -> None:
        """Counts tokens, times and sizes."""
        self.totals.batch(len(waits), tokens)
        self._tokens.inc(tokens)
        self._compute.observe(seconds)
        self._batch_texts.observe(len(waits))
        self._batch_tokens.observe(tokens)
        for wait in waits:
            self._queue.observe(wait)

    def watch(self, state: Collector) -> None:
        """Adds a collector to `exposition`."""
        self._registry.register(state)

    def families(self) -> list[Family]:
        """All metrics as plain data."""
        return plain(self._registry)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
