"""The requests in flight, of which there may be only so many."""

from collections.abc import Callable

from labeld.errors import OverloadedError
from labeld.scheduler.queue import retry_after


class Admission:
    """A context that counts a request from when its body is there until its reply."""

    def __init__(self, limit: int, waiting: Callable[[], int]) -> None:
        """`waiting` counts the requests in the context that wait for a model.

        Those do not count: they have a limit of their own, and must not keep others from models that are loaded.
        """
        self.count = 0
        """Requests that are in the context now."""
        self._limit, self._waiting = limit, waiting

    def require_room(self) -> None:
        """Raises OverloadedError, as entering does, when as many requests are in flight as may be.

        So a full server refuses a request before it reads its body.
        """
        if self.count < self._limit:
            return
        in_flight = self.count - self._waiting()
        if in_flight >= self._limit:
            raise OverloadedError(
                f"{in_flight} requests are in flight, the limit (setting max_in_flight); try again later.",
                retry_after(1.0),
                "max_in_flight",
            )

    def __enter__(self) -> None:
        self.require_room()
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
