"""Limits of requests per minute and access token. Pure, but for the clock that it is given."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from labeld.auth.errors import RateLimitedError
from labeld.auth.records import AccessToken

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class _Window:
    """The current minute of one access token."""

    end: float
    """Time at which the minute ends, on the clock of `ticks`."""
    left: int
    """Requests that are left."""


class Limits:
    """Fixed windows of a minute, one per access token, each begun by the token's first request.

    NOTE: each worker counts its own requests, and allows a token its share of the limit, rounded up.
    """

    def __init__(self, workers: int, ticks: Callable[[], float]) -> None:
        self._workers, self._ticks = workers, ticks
        self._windows: dict[str, _Window] = {}

    def admit(self, access_token: AccessToken) -> None:
        """Counts a request; raises RateLimitedError when the token's limit per minute is reached."""
        if access_token.per_minute is None:
            return
        ticks = self._ticks()
        window = self._windows.get(access_token.token_id)
        if window is None or ticks >= window.end:
            window = self._windows[access_token.token_id] = _Window(
                ticks + WINDOW_SECONDS, -(-access_token.per_minute // self._workers)
            )
        if window.left == 0:
            raise RateLimitedError(access_token.per_minute, window.end - ticks)
        window.left -= 1

    def keep(self, token_ids: Container[str]) -> None:
        """Drops the windows of all other access tokens."""
        self._windows = {token_id: window for token_id, window in self._windows.items() if token_id in token_ids}
