"""Dialects whose texts are `instances`, and whose answers are `predictions`: KServe's first protocol, and Vertex AI."""

from dataclasses import dataclass, replace
from typing import Any

from labeld.protocol.dialects import zero_shot
from labeld.protocol.dialects.base import ALL_SCORES, Answered, Call, Dialect, Question
from labeld.protocol.dialects.classification import Classification
from labeld.protocol.dialects.errors import EmptyInputError
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.errors import wrong_value
from labeld.protocol.parameters import PARAMETERS, read_parameters
from labeld.protocol.request import read_text, require_room
from labeld.types import ClassifyRequest

_EXAMPLE = '{"instances": ["a text", {"text": "a text", "text_pair": "its pair"}]}'
_OF_RANKINGS = ("top_k", "return_all_scores", "threshold", "return_windows")
"""Parameters that mean more than one label, or none."""


@dataclass(frozen=True, slots=True)
class _Vertex(Classification):
    def reply(self, answered: Answered) -> Any:
        return {"predictions": list(answered.texts)}


class _KServe(_Vertex):
    def reply(self, answered: Answered) -> Any:
        return {"predictions": [ranking[0]["label"] for ranking in answered.texts]}


class _VertexZeroShot(zero_shot.Hosted):
    def reply(self, answered: Answered) -> Any:
        return {"predictions": zero_shot.Hosted.reply(self, answered)}


def parse_kserve(call: Call) -> Question:
    """`{"instances": [text or pair], "parameters"}`: best labels, or rankings where parameters ask for scores."""
    asked, parameters = _asked(call)
    is_ranking = any(parameters.value.get(name) is not None for name in _OF_RANKINGS)
    if is_ranking:
        return _Vertex(call.model, asked)
    return _KServe(call.model, asked._replace(parameters=replace(asked.parameters, threshold=ALL_SCORES)))


def parse_vertex(call: Call) -> Question:
    """`{"instances": [text, pair or {"inputs"}], "parameters"}`: rankings, or scores of candidate labels."""
    if zero_shot.asks_for_labels(call.value):
        return zero_shot.parse_hosted(call._replace(value=_unwrapped(call.value)), "instances", _VertexZeroShot)
    return _Vertex(call.model, _asked(call)[0])


def _asked(call: Call) -> tuple[ClassifyRequest, Fields]:
    """The request, and the object of its parameters."""
    body = Fields(_unwrapped(call.value), _EXAMPLE)
    instances = body.value.get("instances", ...)
    if not isinstance(instances, list):
        raise wrong_value("instances", "a list", instances, f"send {_EXAMPLE}")
    if not instances:
        raise EmptyInputError(f"`instances` is empty: send {_EXAMPLE}.")
    require_room("instances", len(instances), call.limits)
    ignored: list[str] = []
    texts = tuple([read_text(one, f"instances[{index}]", ignored) for index, one in enumerate(instances)])
    parameters = Fields(body.value.get("parameters") or {}, _EXAMPLE, "parameters")
    ignored += [name for name in parameters.value if name not in PARAMETERS]
    read = read_parameters(parameters.value)
    return ClassifyRequest(texts, read, call.options, tuple(dict.fromkeys(ignored))), parameters


def _unwrapped(value: Any) -> Any:
    """The body with `{"inputs": text}` of an instance as the text, as TEI on Vertex AI is asked."""
    if not isinstance(value, dict) or not isinstance(value.get("instances"), list):
        return value
    instances = [one["inputs"] if isinstance(one, dict) and "inputs" in one else one for one in value["instances"]]
    return {**value, "instances": instances}


DIALECTS = (
    Dialect(
        "kserve",
        ("/v1/models/{model_id:path}:predict",),
        parse_kserve,
        description="Labels of texts, by KServe's first protocol.",
    ),
    Dialect("vertex", ("/vertex",), parse_vertex, description="Classifies texts by the default model, as Vertex AI."),
)
