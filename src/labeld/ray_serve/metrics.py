"""labeld's metrics in Ray's: what Ray exports for Prometheus has all replicas, and `/metrics` of labeld one of them."""

from collections.abc import Sequence

from ray.serve.metrics import Counter, Gauge, Histogram

from labeld.metrics.prometheus import SECONDS, TEXTS, TOKENS, Metrics
from labeld.service.service import Service

PER_ROUTE, PER_STATUS, PER_LIMIT, PER_RESULT = ("path", "status"), ("status",), ("limit",), ("result",)
"""NOTE: not `route`, which is Serve's own tag."""


class RayMetrics(Metrics):
    """Counts for Ray, and for `/metrics` too. Made in a replica, whose name is a label of each of Ray's."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = Counter("labeld_requests", "Requests answered.", PER_ROUTE)
        self._took = Histogram("labeld_request_seconds", "From a request's headers to its reply.", [*SECONDS])
        self._limits = Counter("labeld_refusals", "Requests refused with 429, by limit.", PER_LIMIT)
        self._texts = Counter("labeld_cache_texts", "Texts looked up in the cache.", PER_RESULT)
        self._computed = Counter("labeld_tokens", "Tokens computed.")
        self._engine = Histogram("labeld_compute_seconds", "What a batch took in the engine.", [*SECONDS])
        self._sizes = Histogram("labeld_batch_texts", "Texts of a batch.", [*TEXTS])
        self._lengths = Histogram("labeld_batch_tokens", "Tokens of a batch.", [*TOKENS])
        self._waited = Histogram("labeld_queue_seconds", "From a batch's oldest text to its begin.", [*SECONDS])
        states = {
            "labeld_queued_seconds": "Seconds of work that wait in the fullest queue.",
            "labeld_memory_bytes": "Memory that counts against the budget.",
            "labeld_memory_budget_bytes": "The budget.",
            "labeld_models_loaded": "Loaded models.",
            "labeld_requests_in_flight": "Requests being answered, waiting ones included.",
            "labeld_requests_waiting": "Requests that wait for a model to be loaded.",
        }
        self._states = {name: Gauge(name, text) for name, text in states.items()}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts it, and its time."""
        super().request(route, status, seconds)
        self._asked.inc(1, {"path": route, "status": str(status)})
        self._took.observe(seconds, {})

    def refused(self, limit: str) -> None:
        """Counts it by its limit."""
        super().refused(limit)
        self._limits.inc(1, {"limit": limit})

    def looked_up(self, memory: int, redis: int, missed: int) -> None:
        """Counts texts by where their answer was found."""
        super().looked_up(memory, redis, missed)
        for result, texts in (("memory", memory), ("redis", redis), ("miss", missed)):
            if texts:
                self._texts.inc(texts, {"result": result})

    def batch(self, tokens: int, seconds: float, waits: Sequence[float]) -> None:
        """Counts tokens, times and sizes."""
        super().batch(tokens, seconds, waits)
        self._computed.inc(tokens, {})
        self._engine.observe(seconds, {})
        self._sizes.observe(len(waits), {})
        self._lengths.observe(tokens, {})
        self._waited.observe(max(waits), {})

    def states(self, service: Service) -> None:
        """Notes what is a state and no event; Serve's health check asks for it."""
        usage = service.usage()
        values = {
            "labeld_queued_seconds": usage.queued_seconds,
            "labeld_memory_bytes": usage.memory,
            "labeld_memory_budget_bytes": usage.memory_budget,
            "labeld_models_loaded": len(service.loaded_models()),
            "labeld_requests_in_flight": usage.in_flight,
            "labeld_requests_waiting": usage.waiting,
        }
        for name, value in values.items():
            self._states[name].set(value, {})
