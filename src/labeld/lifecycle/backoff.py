"""Exponential back-off after failed loads. Lives on one event loop, whose clock it uses."""

import asyncio
from dataclasses import dataclass

from labeld.system.tracebacks import drop_tracebacks

FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
"""Seconds before another try, at first and at most; doubled by each failure in a row."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last error, the number of failures in a row, and the time of the next try."""

    error: Exception
    times: int
    until: float


class Backoff:
    """Failures by model id; bounded, because those that ended long ago are dropped."""

    def __init__(self) -> None:
        self._failures: dict[str, Failure] = {}

    def record(self, model_id: str, error: Exception) -> None:
        """Keeps a failure for twice as long as the one before it, without its traceback."""
        drop_tracebacks(error)
        now = asyncio.get_running_loop().time()
        times = self._failures[model_id].times + 1 if model_id in self._failures else 1
        seconds = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** min(times - 1, 10))
        self._failures = {name: one for name, one in self._failures.items() if now < one.until + LONGEST_BACK_OFF}
        self._failures[model_id] = Failure(error, times, now + seconds)

    def reset(self, model_id: str) -> None:
        """Drops the failures of a model that was loaded."""
        self._failures.pop(model_id, None)

    def current(self, model_id: str) -> Exception | None:
        """The last failure of a model, until it may be tried again; else None."""
        failure = self._failures.get(model_id)
        return failure.error if failure and asyncio.get_running_loop().time() < failure.until else None
