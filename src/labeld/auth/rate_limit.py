"""Limits of requests per minute and access token. Pure, but for the clock and the shared counts that it is given."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol

from labeld.auth.errors import RateLimitedError
from labeld.auth.records import AccessToken

WINDOW_SECONDS = 60.0


class SharedCounts(Protocol):
    """Windows that several servers count together."""

    async def open(self) -> None:
        """Connects, if that is possible at once."""
        ...

    async def count(self, name: str, seconds: float) -> tuple[int, float] | None:
        """Counts one: how many there are in the window, and in how many seconds it ends; None when that is not known.

        The first one begins a window of so many seconds. Never raises, and has a time limit.
        """
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...


@dataclass(slots=True)
class _Window:
    """The current minute of one access token."""

    end: float
    """Time at which the minute ends, on the clock of `ticks`."""
    left: int
    """Requests that are left."""


class Limits:
    """Fixed windows of a minute, one per access token, each begun by the token's first request.

    It is counted in `shared`, by all servers together. Where there is none, and while it does not answer, each worker
    counts its own requests, and allows a token its share of the limit, rounded up.
    """

    def __init__(self, workers: int, ticks: Callable[[], float], shared: SharedCounts | None = None) -> None:
        self._workers, self._ticks, self._shared = workers, ticks, shared
        self._windows: dict[str, _Window] = {}

    async def admit(self, access_token: AccessToken) -> None:
        """Counts a request; raises RateLimitedError when the token's limit per minute is reached."""
        limit = access_token.per_minute
        if limit is None:
            return
        counted = await self._shared.count(access_token.token_id, WINDOW_SECONDS) if self._shared else None
        if counted is None:
            self._admit_here(access_token.token_id, limit)
            return
        count, left = counted
        if count > limit:
            raise RateLimitedError(limit, left)

    def _admit_here(self, token_id: str, limit: int) -> None:
        ticks = self._ticks()
        window = self._windows.get(token_id)
        if window is None or ticks >= window.end:
            window = self._windows[token_id] = _Window(ticks + WINDOW_SECONDS, -(-limit // self._workers))
        if window.left == 0:
            raise RateLimitedError(limit, window.end - ticks)
        window.left -= 1

    def keep(self, token_ids: Container[str]) -> None:
        """Drops the windows of all other access tokens."""
        self._windows = {token_id: window for token_id, window in self._windows.items() if token_id in token_ids}
