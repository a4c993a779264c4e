"""The last ten minutes of this process: every two seconds it is noted by how much the totals have grown.

A request costs what `totals` takes to count it, and the memory is bounded: 300 intervals of about 1 KB.
"""

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Callable

from labeld.metrics.totals import Totals
from labeld.service.service import Service
from labeld.web.monitoring.figures import INTERVAL, KEPT, Interval


class History:
    """Notes what a process's totals grow by while `keep` runs. Use it on the event loop."""

    def __init__(self, totals: Totals, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals, self._service, self._clock = totals, service, clock
        self._intervals: deque[Interval] = deque(maxlen=KEPT)
        self._since, self._counts, self._seconds = clock(), totals.counts(), array("Q", totals.seconds)

    async def keep(self) -> None:
        """Ends an interval whenever the clock is a multiple of `INTERVAL`, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL - self._clock() % INTERVAL)
            self._note_if_due()

    def intervals(self) -> list[Interval]:
        """All that have ended by now, the oldest first; nobody may change them."""
        self._note_if_due()
        return [*self._intervals]

    def note(self) -> None:
        """Ends an interval now; the oldest one leaves when there are enough."""
        now, counts, seconds = self._clock(), self._totals.counts(), array("Q", self._totals.seconds)
        self._intervals.append(
            {
                "began": self._since,
                "ended": now,
                "counts": {name: count - self._counts[name] for name, count in counts.items()},
                "times": [
                    [index, new - old]
                    for index, (new, old) in enumerate(zip(seconds, self._seconds, strict=True))
                    if new > old
                ],
                "queue": sum(one.model.queue.waiting_tokens for one in self._service.loaded_models()),
                "memory": self._service.usage().memory,
            }
        )
        self._since, self._counts, self._seconds = now, counts, seconds

    def _note_if_due(self) -> None:
        """NOTE: asked for its intervals a process may come before its timer, and the others' have ended already."""
        if self._clock() // INTERVAL > self._since // INTERVAL:
            self.note()
