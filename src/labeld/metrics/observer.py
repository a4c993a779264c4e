"""What happens, for whoever observes it: inner modules call an `Observer` and do not know whether it counts."""

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Is told what happens. Called on the event loop, but for `batch`; never raises, and takes microseconds."""

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the template, or empty where no route has the path."""
        ...

    def refused(self, limit: str) -> None:
        """A request was refused with 429 because this limit, named by its setting, was reached."""
        ...

    def remembered(self, memory: int, redis: int, missed: int) -> None:
        """How many texts of a request had a remembered answer, by where it was, and how many had none."""
        ...

    def batch(self, tokens: int, seconds: float, waits: Sequence[float]) -> None:
        """A lane has run a batch for so long; `waits` are the seconds that each of its texts waited before."""
        ...


class Unobserved:
    """Nobody looks: the command line, and most tests."""

    def request(self, route: str, status: int, seconds: float) -> None:
        """Forgets it."""

    def refused(self, limit: str) -> None:
        """Forgets it."""

    def remembered(self, memory: int, redis: int, missed: int) -> None:
        """Forgets it."""

    def batch(self, tokens: int, seconds: float, waits: Sequence[float]) -> None:
        """Forgets it."""


UNOBSERVED = Unobserved()
