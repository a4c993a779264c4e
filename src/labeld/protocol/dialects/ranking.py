"""Ranking texts by a query: the question that every rerank dialect asks, and its scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from labeld.config.labels import entailment
from labeld.config.models_file import Windows
from labeld.literals import FunctionName
from labeld.protocol.dialects import lengths
from labeld.protocol.dialects.base import ALL_SCORES, Answered, Role
from labeld.protocol.dialects.errors import WrongTaskError
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.window_scores import ranking_of, windows_of, with_windows
from labeld.protocol.errors import UnknownLabelError
from labeld.types import ClassifyRequest, LabelScore, Options, Parameters, Text

TASK = "text-ranking"


def pairs(query: str, documents: Sequence[str]) -> tuple[Text, ...]:
    """Each document beside the query; an empty one is the empty text of its pair, as transformers reads a list."""
    return tuple([Text(query, one) for one in documents])


def windows(fields: Fields, parameters: Parameters) -> Parameters:
    """The parameters with windows of documents, where they are asked for."""
    return with_windows(fields, lengths.windows(fields, parameters, of="only_second"))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Pairs of a query and a document, which a model scores.

    The score is that of a model's only label, by the sigmoid, or of one label of several, by the softmax; without a
    function the logit. Several labels need `label`, but for an NLI model, whose entailment counts.
    """

    model: str | None
    pairs: tuple[Text, ...]
    options: Options
    raw: bool = False
    """True where logits are wanted."""
    label: str | None = None
    """The label whose score ranks the documents."""
    parameters: Parameters = field(default_factory=Parameters)
    """How long texts are read."""
    ignored: tuple[str, ...] = field(default=(), kw_only=True)
    """Members of the body that mean nothing here."""

    @property
    def role(self) -> Role:
        """A reranker."""
        return "reranker"

    def windowed(self, windows: Windows) -> Self:
        """The question as an alias with windows reads it, where it would only be cut for want of another wish."""
        if windows.stride is None or not lengths.cuts_by_default(self.parameters):
            return self
        read = replace(
            self.parameters,
            truncation="only_second",
            stride=windows.stride,
            max_length=windows.max_length,
            aggregate=self.parameters.aggregate or windows.aggregate,
        )
        return replace(self, parameters=read)

    def request(self, labels: Sequence[str]) -> ClassifyRequest:
        """The pairs to classify; raises WrongTaskError, or UnknownLabelError."""
        self._number(labels)
        function: FunctionName = "none" if self.raw else "sigmoid" if len(labels) == 1 else "softmax"
        parameters = replace(self.parameters, function_to_apply=function, threshold=ALL_SCORES)
        return ClassifyRequest(self.pairs, parameters, self.options, self.ignored)

    def ranked(self, answered: Answered) -> list[tuple[int, float]]:
        """Index and score of each document, best score first; equal scores keep their order."""
        label = answered.labels[self._number(answered.labels)]
        scores = (score_of(one, label) for one in answered.texts)
        return sorted(enumerate(scores), key=lambda one: -one[1])

    def window_scores(self, answered: Answered, index: int, name: str = "score") -> dict[str, Any]:
        """The member of a document's result with the score of each of its windows, where these are wanted."""
        found = windows_of(answered.texts[index])
        if not found:
            return {}
        label = answered.labels[self._number(answered.labels)]
        return {"windows": [{"start": one["start"], "end": one["end"], name: score_of(one, label)} for one in found]}

    def rankings(self, answered: Answered) -> list[list[LabelScore]]:
        """One ranking of all documents, each by its index."""
        return [[LabelScore(str(index), score) for index, score in self.ranked(answered)]]

    def _number(self, labels: Sequence[str]) -> int:
        """The id of the label that counts."""
        if self.label is not None:
            if self.label not in labels:
                raise UnknownLabelError("label", self.label, labels)
            return list(labels).index(self.label)
        number = 0 if len(labels) == 1 else entailment(labels)
        if number is None:
            raise WrongTaskError(
                TASK, labels, 'send "label" with the one to rank by, or use a model with one label, a reranker'
            )
        return number


def score_of(answer: Any, label: str) -> float:
    """The score of a label in the answer to one text."""
    return float(next(one["score"] for one in ranking_of(answer) if one["label"] == label))
