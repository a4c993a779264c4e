"""Classifying texts: the question that every classify dialect asks, and scores in the order of a model's labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

    @property
    def by_id(self) -> bool:
        """Whether the reply has the scores of all labels in the order of their ids."""
        return False

    def request(self, labels: Sequence[str]) -> ClassifyRequest:
        """The texts to classify, by a model with any labels."""
        if not self.by_id or len(set(labels)) == len(labels):
            return self.asked
        # only here, so that all other models share their cached answers with every dialect
        return self.asked._replace(parameters=replace(self.asked.parameters, by_id=True))

    def reply(self, answered: Answered) -> Any:
        """A ranking for each text, as the hosted API writes it."""
        return list(answered.texts)

    def rankings(self, answered: Answered) -> list[Ranking]:
        """The ranking of each text."""
        return [sorted(one, key=lambda label: -label.score) for one in rankings(answered.texts)]


def best_label(ranking: Sequence[Any]) -> str:
    """The label of the best score, of equal ones that of the lowest id."""
    return str(max(ranking, key=lambda one: one["score"])["label"])


def in_order(ranking: Sequence[Any], labels: Sequence[str]) -> list[float]:
    """The scores of all labels in the order of their ids, from a ranking, or as `by_id` has them."""
    if len(set(labels)) < len(labels):
        return [one["score"] for one in ranking]
    scores = {one["label"]: one["score"] for one in ranking}
    return [scores[label] for label in labels]
