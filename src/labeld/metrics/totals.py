"""Running totals of a process, from which a history reads rates; nothing is kept per request.

Times are counted in a histogram of a fixed number of buckets, each 9 % wider than the one before, so a quantile is
within 5 % of the real one at any speed.
"""

import math
import threading
from collections.abc import Mapping

PER_OCTAVE = 8
SHORTEST = 1e-5
"""Seconds of the first bucket; shorter times count as this."""
BUCKETS = 26 * PER_OCTAVE
"""Up to eleven minutes."""
COME_BACK = (429, 503)
"""Statuses with which a client is asked to retry later."""


class Totals:
    """Counts of a process since its start. All but `batch` is called on the event loop."""

    def __init__(self) -> None:
        self.requests = self.texts = self.refused = self.failed = 0
        """Requests to classify, texts answered, and how many of the requests had to come back later or failed."""
        self.hits = self.misses = 0
        """Texts whose answer was cached, and those that had none."""
        self.batches = self.batch_texts = self.tokens = 0
        self.seconds = [0] * BUCKETS
        """Answered requests, by how long they took."""
        self._streams = threading.Lock()

    def classified(self, texts: int, status: int, seconds: float) -> None:
        """Counts a request to classify so many texts, by its outcome; the time counts if it was answered."""
        self.requests += 1
        if status < 400:
            self.texts += texts
            self.seconds[bucket(seconds)] += 1
        elif status in COME_BACK:
            self.refused += 1
        elif status >= 500:
            self.failed += 1

    def counts(self) -> dict[str, int]:
        """The totals by name, without the times."""
        names = ("requests", "texts", "refused", "failed", "hits", "misses", "batches", "batch_texts", "tokens")
        return {name: getattr(self, name) for name in names}

    def batch(self, texts: int, tokens: int) -> None:
        """Counts a batch; called on the thread of any stream."""
        with self._streams:
            self.batches += 1
            self.batch_texts += texts
            self.tokens += tokens


def bucket(seconds: float) -> int:
    """The bucket of a time."""
    if seconds <= SHORTEST:
        return 0
    return min(BUCKETS - 1, int(PER_OCTAVE * math.log2(seconds / SHORTEST)))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Seconds that this share of the times counted by their buckets do not exceed; None where none is counted."""
    left = share * sum(counts.values())
    for index, count in sorted(counts.items()):
        left -= count
        if left <= 0 and count:
            return SHORTEST * math.exp2((index + 0.5) / PER_OCTAVE)
    return None
