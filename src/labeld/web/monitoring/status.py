"""The state of this process at one moment: its part of `/status`, and the part of `/metrics` that is no event."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from labeld.config.settings import Settings
from labeld.lifecycle.loader import LoadedModel
from labeld.lifecycle.pool_entry import PoolEntry
from labeld.metrics.prometheus import Metrics
from labeld.service.service import Service

SHOWN = ("residency", "compute", "queue", "inputs", "connections")
"""Groups of settings that are shown: limits. The others have addresses, folders and secrets."""


class Status(Collector):
    """The state of a service, read anew each time. Use it on the service's event loop."""

    def __init__(self, service: Service, settings: Settings, metrics: Metrics) -> None:
        self._service, self._settings = service, settings
        self._top_labels, self._candidates = metrics.top_labels, metrics.candidates
        for alias, entry in settings.file.models.items():
            if entry.split:
                self._candidates.split(alias, entry.split.model)
            if entry.shadow:
                self._candidates.shadow(alias, entry.shadow.model)
        self._began = time.monotonic()

    def as_json(self) -> dict[str, Any]:
        """It as plain JSON: no path, no secret, nothing that a client sent."""
        service = self._service
        usage = service.usage()
        return {
            "version": version("labeld"),
            "uptime": round(time.monotonic() - self._began, 3),
            "ready": service.ready(),
            "pid": os.getpid(),
            "workers": {"count": self._settings.listen.workers},
            "default_model": service.default_model,
            "models": [self._model(one) for one in reversed(service.loaded_models())],
            "loading": [{"model_id": key, "seconds": seconds} for key, seconds in usage.loading.items()],
            "counts": asdict(service.counts),
            "memory": {"used": usage.memory, "budget": usage.memory_budget},
            "requests": {"in_flight": usage.in_flight, "waiting_for_models": usage.waiting},
            "cache": asdict(usage.cache),
            **self._candidates.as_json(),
            "settings": {group: asdict(getattr(self._settings, group)) for group in SHOWN},
        }

    def collect(self) -> Iterator[Metric]:
        """The state for Prometheus. The label `model` has the ids of loaded models only."""
        service = self._service
        usage, counts, entries = service.usage(), service.counts, service.loaded_models()
        yield InfoMetricFamily("labeld", "What runs.", {"version": version("labeld")})
        yield CounterMetricFamily("labeld_model_loads", "Models loaded.", counts.loads)
        yield CounterMetricFamily("labeld_model_load_failures", "Loads that failed.", counts.failures)
        yield CounterMetricFamily("labeld_model_evictions", "Models evicted or unloaded.", counts.evictions)
        for name, help_text, value in (
            ("labeld_workers", "Processes, of which this is one.", self._settings.listen.workers),
            ("labeld_uptime_seconds", "Since the service was opened.", time.monotonic() - self._began),
            ("labeld_requests_in_flight", "Requests being answered, waiting ones included.", usage.in_flight),
            ("labeld_requests_waiting", "Requests that wait for a model to be loaded.", usage.waiting),
            ("labeld_models_loaded", "Loaded models.", len(entries)),
            ("labeld_models_loading", "Models being loaded.", len(usage.loading)),
            ("labeld_memory_bytes", "Memory that counts against the budget.", usage.memory),
            ("labeld_memory_budget_bytes", "The budget.", usage.memory_budget),
            ("labeld_cache_answers", "Answers cached in this process.", usage.cache.answers),
            ("labeld_cache_bytes", "What they take.", usage.cache.bytes),
        ):
            yield GaugeMetricFamily(name, help_text, value)
        yield from _of_models(entries)

    def _model(self, entry: PoolEntry[LoadedModel]) -> dict[str, Any]:
        model, queue = entry.model.model, entry.model.queue
        idle = 0.0 if entry.leases else asyncio.get_running_loop().time() - entry.last_used
        return {
            "model_id": entry.model_id,
            "sha": model.revision,
            "architecture": model.config.architecture,
            "precision": model.engine.precision,
            "precision_choice": None if model.choice is None else model.choice.sentence(),
            "bytes": entry.bytes,
            "leases": entry.leases,
            "idle": round(idle, 3),
            "texts": queue.texts,
            "tokens": queue.tokens,
            "tokens_per_second": round(queue.rate, 1),
            "top_labels": self._top_labels.labels(entry.model_id),
            "waiting": {"texts": len(queue.waiting), "tokens": queue.waiting_tokens},
        }


def _of_models(entries: list[PoolEntry[LoadedModel]]) -> Iterator[Metric]:
    labels = ["model"]
    texts = CounterMetricFamily("labeld_model_texts", "Texts computed since the model was loaded.", labels=labels)
    tokens = CounterMetricFamily("labeld_model_tokens", "Tokens computed since the model was loaded.", labels=labels)
    size = GaugeMetricFamily("labeld_model_bytes", "Memory that a loaded model takes.", labels=labels)
    leases = GaugeMetricFamily("labeld_model_leases", "Requests that use a model.", labels=labels)
    waiting = GaugeMetricFamily("labeld_model_waiting_tokens", "Tokens that wait in a model's queue.", labels=labels)
    precision = InfoMetricFamily("labeld_model", "How a loaded model computes.", labels=labels)
    for one in entries:
        queue, name = one.model.queue, [one.model_id]
        texts.add_metric(name, queue.texts)
        tokens.add_metric(name, queue.tokens)
        size.add_metric(name, one.bytes)
        leases.add_metric(name, one.leases)
        waiting.add_metric(name, queue.waiting_tokens)
        precision.add_metric(name, {"precision": one.model.model.engine.precision})
    yield from (texts, tokens, size, leases, waiting, precision)
