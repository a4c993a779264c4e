"""The last ten minutes of this process: every two seconds a sample of how much the totals have grown.

A request costs what `totals` takes to count it, and the memory is bounded: 300 samples, whose times are bucket counts.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labeld.service import Service
from labeld.totals import Totals, quantile

INTERVAL = 2.0
"""Seconds between two samples."""
SAMPLES = 300
"""Those that are kept: ten minutes."""
WINDOWS = (10, 60, 600)
"""Seconds over which `recent` sums up."""
COUNTS = ("requests", "texts", "refused", "failed", "hits", "misses", "batches", "batch_texts", "tokens")
"""What of the totals is shown."""

Figures = dict[str, float | int | None]


@dataclass(slots=True)
class Sample:
    """What has happened in one stretch of time, and what was in use at its end."""

    at: float
    """When it ended, on the monotonic clock."""
    length: float
    """Seconds."""
    grown: dict[str, int]
    """By how much each of `COUNTS` has grown."""
    seconds: dict[int, int]
    """Answered requests by the bucket of their time."""
    queue: int
    """Tokens that waited; the most of them, where samples are merged."""
    memory: int
    """Bytes that count against the budget."""


@dataclass(slots=True)
class _Before:
    """The totals at the end of the last sample."""

    at: float
    counts: dict[str, int]
    seconds: list[int]


class History:
    """Samples a process's totals while `keep` runs. Use it on the event loop."""

    def __init__(self, totals: Totals, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals, self._service, self._clock = totals, service, clock
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._before = self._now()

    async def keep(self) -> None:
        """Takes a sample every `INTERVAL`, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.sample()

    def sample(self) -> None:
        """Adds what has happened since the last sample; the oldest leaves when there are `SAMPLES`."""
        before, now = self._before, self._now()
        self._before = now
        self._samples.append(
            Sample(
                now.at,
                now.at - before.at,
                {name: now.counts[name] - before.counts[name] for name in COUNTS},
                {
                    index: new - old
                    for index, (new, old) in enumerate(zip(now.seconds, before.seconds, strict=True))
                    if new > old
                },
                sum(one.model.queue.waiting_tokens for one in self._service.residents()),
                self._service.usage().memory,
            )
        )

    def recent(self) -> list[Figures]:
        """The figures of the last ten seconds, minute and ten minutes, or of as much of it as there is."""
        now = self._clock()
        windows = ((seconds, [one for one in self._samples if now - one.at < seconds]) for seconds in WINDOWS)
        return [{"seconds": seconds, **figures(_merged(samples))} for seconds, samples in windows if samples]

    def columns(self) -> dict[str, Any]:
        """Every figure of every sample, the oldest first, and how many seconds ago it ended."""
        now = self._clock()
        rows = [figures(one) for one in self._samples]
        names = rows[0] if rows else ()
        ago = [round(now - one.at, 1) for one in self._samples]
        return {"interval": INTERVAL, "ago": ago, **{name: [row[name] for row in rows] for name in names}}

    def _now(self) -> _Before:
        counts = {name: getattr(self._totals, name) for name in COUNTS}
        return _Before(self._clock(), counts, list(self._totals.seconds))


def figures(sample: Sample) -> Figures:
    """What is shown of a sample: rates per second, times in seconds, `cached` and `batch_texts` where there were any."""
    grown, length = sample.grown, max(sample.length, 1e-9)
    looked_up = grown["hits"] + grown["misses"]
    return {
        **{name: _short(grown[name] / length) for name in ("requests", "texts", "tokens", "batches")},
        "batch_texts": _short(grown["batch_texts"] / grown["batches"]) if grown["batches"] else None,
        "p50": _short(quantile(sample.seconds, 0.5)),
        "p99": _short(quantile(sample.seconds, 0.99)),
        "cached": _short(grown["hits"] / looked_up) if looked_up else None,
        **{name: _short(grown[name] / length) for name in ("refused", "failed")},
        "queue": sample.queue,
        "memory": sample.memory,
    }


def _merged(samples: list[Sample]) -> Sample:
    """One sample of all of them, which follow each other."""
    grown: Counter[str] = Counter()
    seconds: Counter[int] = Counter()
    for one in samples:
        grown.update(one.grown)
        seconds.update(one.seconds)
    return Sample(
        samples[-1].at,
        sum(one.length for one in samples),
        grown,
        seconds,
        max(one.queue for one in samples),
        samples[-1].memory,
    )


def _short(value: float | None) -> float | int | None:
    """Three digits, so that ten minutes are a small document."""
    if value is None:
        return None
    return round(value) if value >= 100 else float(f"{value:.3g}")
