"""Answers of either side as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from labeld.types import Text


class PeerScore(NamedTuple):
    """A label of a ranking, by whatever name; `score` is None where only the best label is given."""

    label: str
    score: float | None


PeerRanking = tuple[PeerScore, ...]
"""The labels of one text, best first."""


def label_of(index: int) -> str:
    """The name that transformers gives to a label of this id which has none."""
    return f"LABEL_{index}"


class Row(NamedTuple):
    """A text of the input."""

    file: str
    line: int
    """The line of the file on which it begins, or its row; counted from 1."""
    text: Text


@dataclass(frozen=True, slots=True)
class Answer:
    """One side's answer to one text."""

    ranking: PeerRanking
    seconds: float
    """From the request to the last byte of its reply, without waits that the side has asked for."""
    tokens: int | None = None
    """Tokens that the model has read; None where the side does not say."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The answers of one side to texts, asked over so many connections, or in one process in lists of so many."""

    connections: int
    answers: dict[int, Answer]
    """By the position of the row in the input."""
    failures: dict[int, str]
    """A sentence for each text without an answer, by the position of its row."""
    seconds: float
    """From the first request to the last reply."""
    client_cores: float
    """Cores that this process, which asks, was busy with meanwhile."""
    stopped: str | None = None
    """The sentence for which it ended before all texts were asked; None when all were."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The pass that was made in at least one part."""
        seconds = sum(one.seconds for one in parts)
        return cls(
            parts[0].connections,
            {position: answer for one in parts for position, answer in one.answers.items()},
            {position: why for one in parts for position, why in one.failures.items()},
            seconds,
            sum(one.client_cores * one.seconds for one in parts) / max(seconds, 1e-9),
            next((one.stopped for one in parts if one.stopped), None),
        )

    @property
    def rate(self) -> float:
        """Texts answered per second."""
        return len(self.answers) / self.seconds if self.seconds else 0.0

    def latencies(self) -> Sequence[float]:
        """Seconds of each answer."""
        return [one.seconds for one in self.answers.values()]
