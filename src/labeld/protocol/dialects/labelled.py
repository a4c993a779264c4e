"""Texts that the hosted API classifies, which an alias with candidate labels of its own answers by those."""

from dataclasses import dataclass, replace
from typing import Any

from labeld.protocol.dialects.base import Answered, Call, Dialect, Question, Role
from labeld.protocol.dialects.classification import Classification
from labeld.protocol.dialects.zero_shot import Hosted, parse_hosted
from labeld.protocol.request import request_of
from labeld.types import ClassifyRequest


@dataclass(frozen=True, slots=True)
class HostedTexts(Classification):
    """Texts as the hosted API's text-classification asks for their labels."""

    call: Call

    def by_candidates(self) -> Hosted:
        """The same texts, asked for candidate labels that the request does not name."""
        beside = self.call.value if isinstance(self.call.value, dict) else {}
        texts = [one.text for one in self.asked.texts]
        asked = parse_hosted(self.call._replace(value={**beside, "inputs": texts}), kind=_Labelled)
        of_texts = [name for name in self.asked.ignored if name.startswith("inputs.")]
        return replace(asked, ignored=(*of_texts, *asked.ignored))


class _Labelled(Hosted):
    @property
    def role(self) -> Role:
        return "default"

    def reply(self, answered: Answered) -> Any:
        """A ranking for each text, whoever asks, as of text-classification."""
        return [[one._asdict() for one in ranking] for ranking in self.scored(answered)]


def takes_candidates(asked: ClassifyRequest) -> bool:
    """True where candidate labels can answer a request: it has texts, and no pairs."""
    return bool(asked.texts) and not any(one.pair for one in asked.texts)


def parse_texts(call: Call) -> Question:
    """`{"inputs", "parameters"}` of text-classification, or what else the hosted API takes for it."""
    return HostedTexts(call.model, request_of(call.value, call.headers, "", call.limits), call)


DIALECT = Dialect("labelled", (), parse_texts)
"""The hosted API's own shape, in which an alias with candidate labels is asked; it has no paths of its own."""
