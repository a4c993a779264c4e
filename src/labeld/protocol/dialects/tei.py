"""The dialect of text-embeddings-inference that classifies; the one that ranks is in rerank.py."""

from dataclasses import dataclass, replace
from typing import Any

from labeld.errors import InvalidRequestError
from labeld.protocol.dialects.base import Answered, Call, Dialect, Question
from labeld.protocol.dialects.classification import Classification
from labeld.protocol.dialects.errors import EmptyInputError, tei_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import tei_cut, windows
from labeld.protocol.dialects.window_scores import ranking_of, with_windows
from labeld.protocol.errors import wrong_value
from labeld.protocol.request import require_room
from labeld.types import ClassifyRequest, Text

_EXAMPLE = '{"inputs": "a text"}'
_WAY_OUT = 'send "a text", ["a text", "its pair"], or several as [["a text"], ["a text", "its pair"]]'


@dataclass(frozen=True, slots=True)
class _Predict(Classification):
    is_batch: bool

    def reply(self, answered: Answered) -> Any:
        found = list(map(_written, answered.texts))
        return found if self.is_batch else found[0]


def _written(answer: Any) -> Any:
    """The answer to one text; where its windows were asked for an object of both, as in the hosted API."""
    ranking = [{"score": one["score"], "label": one["label"]} for one in ranking_of(answer)]
    return {**answer, "labels": ranking} if isinstance(answer, dict) else ranking


def parse_predict(call: Call, place: str = "") -> Question:
    """`{inputs, truncate, truncation_direction, raw_scores}`; a list of strings is one text, or one pair."""
    fields = Fields(call.value, _EXAMPLE, place)
    inputs, place = fields.get("inputs"), f"{place}.inputs" if place else "inputs"
    is_batch = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], str)
    if is_batch:
        require_room(place, len(inputs), call.limits)
        texts = tuple([_sequence(one, f"{place}[{index}]") for index, one in enumerate(inputs)])
    else:
        texts = (_sequence([inputs] if isinstance(inputs, str) else inputs, place),)
    parameters = with_windows(fields, windows(fields, tei_cut(fields)))
    if fields.flag("raw_scores"):
        parameters = replace(parameters, function_to_apply="none")
    model = call.model or fields.model()
    return _Predict(model, ClassifyRequest(texts, parameters, call.options, fields.unread()), is_batch)


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
    return Text(value[0], value[1] if len(value) == 2 else None)


DIALECTS = (
    Dialect(
        "predict",
        ("/predict",),
        parse_predict,
        tei_error,
        description="Classifies texts or pairs, as TEI.",
        example=_EXAMPLE,
    ),
)
