"""Failed loads, and until when they are not tried again. Lives on one event loop, whose clock it uses."""

import asyncio
from dataclasses import dataclass

from labeld.system.tracebacks import drop_tracebacks

FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
"""Seconds for which a failure is the answer at first, and at most; doubled by each failure in a row."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed, how often in a row, and until when it is not tried again."""

    error: Exception
    times: int
    until: float


class Backoff:
    """The failures by model id; bounded, because those that are long over are dropped."""

    def __init__(self) -> None:
        self._failures: dict[str, Failure] = {}

    def record(self, model_id: str, error: Exception) -> None:
        """Keeps a failure for twice as long as the one before it, without what its traceback holds."""
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
        """The last failure of a model, for as long as it is not tried again."""
        failure = self._failures.get(model_id)
        return failure.error if failure and asyncio.get_running_loop().time() < failure.until else None
