"""The dialect of text-embeddings-inference that classifies; the one that ranks is in rerank.py."""

from dataclasses import dataclass, replace
from typing import Any

from labeld.errors import InvalidRequestError
from labeld.protocol.dialects.base import Answered, Call, Dialect, Question
from labeld.protocol.dialects.classification import Classification
from labeld.protocol.dialects.errors import EmptyInputError, tei_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import tei_cut, windows
from labeld.protocol.errors import wrong_value
from labeld.protocol.request import require_room
from labeld.types import ClassifyRequest, Text

_EXAMPLE = '{"inputs": "a text"}'
_WAY_OUT = 'send "a text", ["a text", "its pair"], or several as [["a text"], ["a text", "its pair"]]'


@dataclass(frozen=True, slots=True)
class _Predict(Classification):
    is_batch: bool

    def reply(self, answered: Answered) -> Any:
        rankings = [[{"score": one["score"], "label": one["label"]} for one in ranking] for ranking in answered.texts]
        return rankings if self.is_batch else rankings[0]


def parse_predict(call: Call) -> Question:
    """`{inputs, truncate, truncation_direction, raw_scores}`; a list of strings is one text, or one pair."""
    fields = Fields(call.value, _EXAMPLE)
    inputs = fields.value.get("inputs", ...)
    is_batch = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], str)
    if is_batch:
        require_room("inputs", len(inputs), call.limits)
        texts = tuple([_sequence(one, f"inputs[{index}]") for index, one in enumerate(inputs)])
    else:
        texts = (_sequence([inputs] if isinstance(inputs, str) else inputs, "inputs"),)
    parameters = windows(fields, tei_cut(fields))
    if fields.flag("raw_scores"):
        parameters = replace(parameters, function_to_apply="none")
    asked = ClassifyRequest(texts, parameters, call.options)
    return _Predict(call.model or fields.optional_text("model"), asked, is_batch)


def _sequence(value: Any, place: str) -> Text:
    """A text or a pair from a list of one or two strings."""
    if not isinstance(value, list):
        raise wrong_value(place, "a list of one or two strings", value, _WAY_OUT)
    if len(value) > 2:
        raise InvalidRequestError(f"`{place}` has {len(value)} strings, and a pair two: {_WAY_OUT}.")
    for index, one in enumerate(value):
        if not isinstance(one, str):
            raise wrong_value(f"{place}[{index}]", "a string", one, _WAY_OUT)
    if not any(value):
        raise EmptyInputError(f"`{place}` is empty: {_WAY_OUT}.")
    return Text(value[0], (value[1] or None) if len(value) == 2 else None)


DIALECTS = (
    Dialect("predict", ("/predict",), parse_predict, tei_error, description="Classifies texts or pairs, as TEI."),
)
