"""What has failed lately, and until when that is the answer. Lives on one event loop, whose clock it uses."""

import asyncio
from dataclasses import dataclass

FIRST_BACK_OFF, LONGEST_BACK_OFF = 1.0, 60.0
"""Seconds for which a failure is remembered at first, and at most; doubled by each failure in a row."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed, how often in a row, and until when it is not tried again."""

    error: Exception
    times: int
    until: float


class Failures:
    """The failures by key; bounded, because those that are long over are forgotten."""

    def __init__(self) -> None:
        self._failures: dict[str, Failure] = {}

    def remember(self, key: str, error: Exception) -> None:
        """Keeps a failure for twice as long as the one before it."""
        now = asyncio.get_running_loop().time()
        times = self._failures[key].times + 1 if key in self._failures else 1
        seconds = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** min(times - 1, 10))
        self._failures = {name: one for name, one in self._failures.items() if now < one.until + LONGEST_BACK_OFF}
        self._failures[key] = Failure(error, times, now + seconds)

    def forget(self, key: str) -> None:
        """It has succeeded."""
        self._failures.pop(key, None)

    def current(self, key: str) -> Exception | None:
        """Why the last try failed, for as long as that is the answer."""
        failure = self._failures.get(key)
        return failure.error if failure and asyncio.get_running_loop().time() < failure.until else None
