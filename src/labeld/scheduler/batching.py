"""Which texts form the next batch. Pure: the waiting texts, the budget and the time come in, a decision goes out."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

LOOKAHEAD = 64
"""How many waiting texts are looked at to fill a batch: the bound on how far a text may be overtaken."""


class Waiting(Protocol):
    """A text that waits."""

    @property
    def tokens(self) -> int:
        """Tokens of the text."""
        ...

    @property
    def deadline(self) -> float:
        """When it is no longer worth starting; same clock as `now`."""
        ...

    @property
    def abandoned(self) -> bool:
        """True when nobody waits for the answer any more."""
        ...


class HasServiceTokens(Protocol):
    """A model with texts that wait."""

    service_tokens: float
    """Tokens it was given so far, on the shared scale of all models."""


W = TypeVar("W", bound=Waiting)
S = TypeVar("S", bound=HasServiceTokens)


class Plan(NamedTuple):
    """Indices into the waiting texts: which to run now, which to drop unrun. All others stay, in their order."""

    batch: list[int]
    dropped: list[int]


def next_batch(waiting: Sequence[W], budget: int, now: float) -> Plan:
    """The next batch of one model's waiting texts, oldest first.

    The oldest live text is always in it, however long it is, so none starves. Younger ones among the next REACH are
    taken where they fit into what is left of `budget` tokens. Expired and abandoned texts that are met are dropped.
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
    """The model that was given the fewest tokens so far."""
    return min(models, key=lambda model: model.service_tokens)
