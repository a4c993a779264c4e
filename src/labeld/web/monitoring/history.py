"""The last ten minutes of this process: rates and quantiles between notes of the totals, taken every two seconds.

A request costs what `totals` takes to count it, and the memory is bounded: 301 notes of about 2 KB.
"""

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labeld.metrics.totals import Totals, quantile
from labeld.service.service import Service

INTERVAL = 2.0
"""Seconds between two notes."""
KEPT = 300
"""Intervals that are kept: ten minutes."""
WINDOWS = (10, 60, 600)
"""Seconds over which `recent` sums up."""

Figures = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class Note:
    """The totals and the load at one moment."""

    at: float
    """On the monotonic clock."""
    counts: dict[str, int]
    seconds: "array[int]"
    """Answered requests by the bucket of their time."""
    queue: int
    """Tokens waiting for a batch."""
    memory: int
    """Bytes that count against the budget."""


class History:
    """Notes a process's totals while `keep` runs. Use it on the event loop."""

    def __init__(self, totals: Totals, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals, self._service, self._clock = totals, service, clock
        self._notes: deque[Note] = deque([self._now()], KEPT + 1)
        self._rows: deque[Figures] = deque(maxlen=KEPT)
        """The figures from each note to the next."""

    async def keep(self) -> None:
        """Takes a note every `INTERVAL`, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.note()

    def note(self) -> None:
        """Notes the totals; the oldest note leaves when there are enough."""
        now = self._now()
        self._rows.append(_between(self._notes[-1], now))
        self._notes.append(now)

    def recent(self) -> list[Figures]:
        """The figures of the last ten seconds, minute and ten minutes, or of as much of it as there is."""
        intervals = [min(round(seconds / INTERVAL), len(self._rows)) for seconds in WINDOWS]
        return [
            {
                "seconds": seconds,
                **_between(self._notes[-1 - count], self._notes[-1]),
                "queue": max(self._rows[-index]["queue"] or 0 for index in range(1, count + 1)),
            }
            for seconds, count in zip(WINDOWS, intervals, strict=True)
            if count
        ]

    def columns(self) -> dict[str, Any]:
        """Every figure of every interval, the oldest first, and how many seconds ago it ended."""
        now = self._clock()
        ago = [round(now - note.at, 1) for note in self._notes][1:]
        names = self._rows[0] if self._rows else ()
        return {"interval": INTERVAL, "ago": ago, **{name: [row[name] for row in self._rows] for name in names}}

    def _now(self) -> Note:
        totals, service = self._totals, self._service
        return Note(
            self._clock(),
            totals.counts(),
            array("Q", totals.seconds),
            sum(one.model.queue.waiting_tokens for one in service.loaded_models()),
            service.usage().memory,
        )


def _between(before: Note, now: Note) -> Figures:
    """The figures from one note to another: rates per second, times in seconds; None where there was nothing."""
    length = max(now.at - before.at, 1e-9)
    grown = {name: count - before.counts[name] for name, count in now.counts.items()}
    times = {index: new - before.seconds[index] for index, new in enumerate(now.seconds) if new > before.seconds[index]}
    looked_up = grown["hits"] + grown["misses"]
    return {
        **{name: _short(grown[name] / length) for name in ("requests", "texts", "tokens", "batches")},
        "batch_texts": _short(grown["batch_texts"] / grown["batches"]) if grown["batches"] else None,
        "p50": _short(quantile(times, 0.5)),
        "p99": _short(quantile(times, 0.99)),
        "cached": _short(grown["hits"] / looked_up) if looked_up else None,
        **{name: _short(grown[name] / length) for name in ("refused", "failed")},
        "queue": now.queue,
        "memory": now.memory,
    }


def _short(value: float | None) -> float | int | None:
    """Three digits, so that ten minutes are a small document."""
    if value is None:
        return None
    return round(value) if value >= 100 else float(f"{value:.3g}")
