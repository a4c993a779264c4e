"""Events of a running server: inner modules call an `Observer`, and do not know whether it counts them."""

from collections.abc import Sequence
from typing import Protocol

from labeld.metrics.candidates import Comparison, ShadowOutcome, SplitOutcome
from labeld.types import Answer


class Observer(Protocol):
    """A receiver of events. Called on the event loop, but for `batch`; never raises, and takes microseconds."""

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the template, or empty where no route has the path."""
        ...

    def refused(self, limit: str) -> None:
        """A request was refused with 429 because this limit, named by its setting, was reached."""
        ...

    def looked_up(self, memory: int, redis: int, missed: int) -> None:
        """A request was looked up in the cache: numbers of texts with an answer in memory, in Redis, or none."""
        ...

    def labels(self, model_id: str, labels: Sequence[str]) -> None:
        """A model that is about to answer has these labels, in the order of their ids."""
        ...

    def answered(self, model_id: str, answers: Sequence[Answer]) -> None:
        """A model's answers to the texts of a request, computed or from the cache."""
        ...

    def split(self, alias: str, model: str, outcome: SplitOutcome) -> None:
        """A request was answered of an alias of which this second model answers a share."""
        ...

    def shadow(self, alias: str, model: str, outcome: ShadowOutcome) -> None:
        """This shadow of an alias was to be asked with a request."""
        ...

    def compared(self, alias: str, model: str, comparisons: Sequence[Comparison]) -> None:
        """The answers of a shadow to a request were compared with the live ones."""
        ...

    def batch(self, tokens: int, seconds: float, waits: Sequence[float]) -> None:
        """An engine has run a batch in so many seconds; `waits` are those that each of its texts waited before."""
        ...


class Unobserved:
    """An observer that ignores everything, for the command line and most tests."""

    def request(self, route: str, status: int, seconds: float) -> None:
        """Ignores it."""

    def refused(self, limit: str) -> None:
        """Ignores it."""

    def looked_up(self, memory: int, redis: int, missed: int) -> None:
        """Ignores it."""

    def labels(self, model_id: str, labels: Sequence[str]) -> None:
        """Ignores it."""

    def answered(self, model_id: str, answers: Sequence[Answer]) -> None:
        """Ignores it."""

    def split(self, alias: str, model: str, outcome: SplitOutcome) -> None:
        """Ignores it."""

    def shadow(self, alias: str, model: str, outcome: ShadowOutcome) -> None:
        """Ignores it."""

    def compared(self, alias: str, model: str, comparisons: Sequence[Comparison]) -> None:
        """Ignores it."""

    def batch(self, tokens: int, seconds: float, waits: Sequence[float]) -> None:
        """Ignores it."""


UNOBSERVED = Unobserved()
