"""Classifying texts: the question that every classify dialect asks, and scores in the order of a model's labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from labeld.config.models_file import Windows
from labeld.protocol.dialects.base import Answered, Role
from labeld.protocol.response import rankings
from labeld.types import ClassifyRequest, Ranking


@dataclass(frozen=True, slots=True)
class Classification:
    """Texts whose labels are wanted."""

    model: str | None
    asked: ClassifyRequest

    @property
    def role(self) -> Role:
        """The default model's."""
        return "default"

    def windowed(self, windows: Windows) -> Self:
        """The question itself: an alias's windows are defaults of the parameters that it leaves open."""
        del windows
        return self

    def request(self, labels: Sequence[str]) -> ClassifyRequest:
        """The texts to classify, by a model with any labels."""
        del labels
        return self.asked

    def reply(self, answered: Answered) -> Any:
        """A ranking for each text, as the hosted API writes it."""
        return list(answered.texts)

    def rankings(self, answered: Answered) -> list[Ranking]:
        """The ranking of each text."""
        return rankings(answered.texts)


def in_order(ranking: Sequence[Any], labels: Sequence[str]) -> list[float]:
    """The scores of a ranking of all labels, in the order of the labels' ids."""
    scores = {one["label"]: one["score"] for one in ranking}
    return [scores[label] for label in labels]
