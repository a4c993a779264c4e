"""Batching policy: pure functions of the waiting texts, the token budget and the time."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

LOOKAHEAD = 64
"""Waiting texts that are considered for a batch, and so the number that may overtake a text, at most."""


class Waiting(Protocol):
    """A waiting text."""

    @property
    def tokens(self) -> int:
        """Tokens of the text."""
        ...

    @property
    def deadline(self) -> float:
        """Time after which it is not started any more, in seconds on the clock of `now`."""
        ...

    @property
    def abandoned(self) -> bool:
        """True when the caller has left."""
        ...


class HasServiceTokens(Protocol):
    """A model with waiting texts."""

    service_tokens: float
    """Tokens served to it so far, on a scale that all models share."""


W = TypeVar("W", bound=Waiting)
S = TypeVar("S", bound=HasServiceTokens)


def budget(limit: int, concurrent: int, waiting: int, *, prefers_large: bool) -> int:
    """Tokens of a batch, of `limit` at most, for an engine that runs so many batches concurrently.

    Those are half as large: int8 then serves 5 % more (decision 15). An engine that prefers large ones gets as large a
    share of the tokens that wait as leaves each of the concurrent ones another batch to follow.
    """
    if concurrent == 1:
        return limit
    half, share = limit // 2, waiting // (2 * concurrent)
    return min(limit, max(half, share)) if prefers_large else half


class Plan(NamedTuple):
    """Indices into the waiting texts. Those in neither list stay, in their order."""

    batch: list[int]
    """Texts to run now."""
    dropped: list[int]
    """Texts that are expired or abandoned, and are not run."""


def next_batch(waiting: Sequence[W], budget: int, now: float) -> Plan:
    """The next batch of one model's waiting texts, oldest first.

    The oldest live text is always in it, however long it is, so none starves. Younger ones among the next `LOOKAHEAD`
    are added while they fit into `budget` tokens. Expired and abandoned texts among those are dropped.
    """
    batch: list[int] = []
    dropped: list[int] = []
    room = budget
    for index, text in enumerate(waiting):
        if batch and (room <= 0 or index - batch[0] >= LOOKAHEAD):
            break
        if text.abandoned or text.deadline < now:
            dropped.append(index)
        elif not batch or text.tokens <= room:
            batch.append(index)
            room -= text.tokens
    return Plan(batch, dropped)


def least_served(models: Iterable[S]) -> S:
    """The model with the fewest service tokens."""
    return min(models, key=lambda model: model.service_tokens)
