"""How many requests a key may send per minute. Pure, but for the clock it is given."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from labeld.auth.errors import RateLimitedError
from labeld.auth.records import Key

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class _Window:
    """What a key may still send in its minute."""

    end: float
    left: int


class Limits:
    """A fixed window of a minute for each key, which its first request begins.

    NOTE: each worker counts for itself, and gives a key its share of the limit, rounded up.
    """

    def __init__(self, workers: int, ticks: Callable[[], float]) -> None:
        self._workers, self._ticks = workers, ticks
        self._windows: dict[str, _Window] = {}

    def admit(self, key: Key) -> None:
        """Counts a request; raises RateLimitedError when the key has had those of its minute."""
        if key.per_minute is None:
            return
        ticks = self._ticks()
        window = self._windows.get(key.key_id)
        if window is None or ticks >= window.end:
            window = self._windows[key.key_id] = _Window(ticks + WINDOW_SECONDS, -(-key.per_minute // self._workers))
        if window.left == 0:
            raise RateLimitedError(key.per_minute, window.end - ticks)
        window.left -= 1

    def keep(self, key_ids: Container[str]) -> None:
        """Forgets all other keys."""
        self._windows = {key_id: window for key_id, window in self._windows.items() if key_id in key_ids}
