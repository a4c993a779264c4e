"""Answers in this process's memory: an LRU cache bounded in bytes. Lives on one event loop."""

import time
from collections import OrderedDict
from collections.abc import Callable

from labeld.types import Answer

OVERHEAD = 440
"""Measured bytes of an entry beside its ranking: the key, the numbers, and Python's objects around them."""


class MemoryStore:
    """Answers by key, each kept for `ttl` seconds; all entries together take at most `limit` bytes."""

    def __init__(self, limit: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._ttl, self._clock = ttl, clock
        self._entries: OrderedDict[bytes, tuple[Answer, float]] = OrderedDict()  # with when it expires; LRU first
        self.used = 0
        """Bytes."""

    @property
    def count(self) -> int:
        """Number of answers; an expired one counts until it is looked up."""
        return len(self._entries)

    def get(self, key: bytes) -> Answer | None:
        """The answer, or None if there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        answer, expires = entry
        if self._clock() >= expires:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return answer

    def put(self, key: bytes, answer: Answer) -> None:
        """Stores or replaces an answer; one that is larger than the whole store is not stored."""
        if key in self._entries:
            self._drop(key)
        size = OVERHEAD + len(answer.encoded)
        if size > self.limit:
            return
        while self.used + size > self.limit:
            self._drop(next(iter(self._entries)))
        self._entries[key] = answer, self._clock() + self._ttl
        self.used += size

    def _drop(self, key: bytes) -> None:
        answer, _ = self._entries.pop(key)
        self.used -= OVERHEAD + len(answer.encoded)
