"""Dialects whose texts are `instances`, and whose answers are `predictions`: KServe's first protocol, and Vertex AI."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from labeld.config.models_file import Windows
from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.protocol.dialects import rerank, tei, zero_shot
from labeld.protocol.dialects.base import ALL_SCORES, Answered, Call, Dialect, Question, Role
from labeld.protocol.dialects.classification import Classification
from labeld.protocol.dialects.errors import EmptyInputError
from labeld.protocol.dialects.fields import Fields, with_model
from labeld.protocol.errors import wrong_value
from labeld.protocol.parameters import PARAMETERS, read_parameters
from labeld.protocol.request import OF_TEI, read_text, require_room
from labeld.types import ClassifyRequest, Ranking

_EXAMPLE = '{"instances": ["a text", {"text": "a text", "text_pair": "its pair"}]}'
_OF_RANKINGS = ("top_k", "return_all_scores", "threshold", "return_windows")
"""Parameters that mean more than one label, or none."""
_OF_TEI = (
    *(*OF_TEI, "return_text", "top_n", "label"),
    *("stride", "max_length", "aggregate", "return_windows"),
)
"""Those that instances may leave to `parameters` where they are bodies of TEI."""


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


@dataclass(frozen=True, slots=True)
class _Instances:
    """Questions of one kind, each an instance as TEI asks it, which are answered together."""

    model: str | None
    questions: tuple[Question, ...]
    limits: InputLimits
    ignored: tuple[str, ...]

    @property
    def role(self) -> Role:
        return self.questions[0].role

    def windowed(self, windows: Windows) -> Self:
        return replace(self, questions=tuple([one.windowed(windows) for one in self.questions]))

    def request(self, labels: Sequence[str]) -> ClassifyRequest:
        requests = [one.request(labels) for one in self.questions]
        for index, one in enumerate(requests):
            first, its = self.questions[0], self.questions[index]
            is_of_a_kind = (type(its), its.model) == (type(first), first.model)
            if one.parameters != requests[0].parameters or not is_of_a_kind:
                raise InvalidRequestError(
                    f"`instances[{index}]` has other options than `instances[0]`: send those of each kind in a request "
                    "of their own."
                )
        texts = tuple([text for one in requests for text in one.texts])
        require_room("instances", len(texts), self.limits)
        ignored = [name.partition(".")[2] for one in requests for name in one.ignored]  # without the instance's place
        return requests[0]._replace(texts=texts, ignored=tuple(dict.fromkeys([*self.ignored, *ignored])))

    def reply(self, answered: Answered) -> Any:
        return {"predictions": [one.reply(its) for one, its in self._apart(answered)]}

    def rankings(self, answered: Answered) -> list[Ranking]:
        return [ranking for one, its in self._apart(answered) for ranking in one.rankings(its)]

    def _apart(self, answered: Answered) -> Iterator[tuple[Question, Answered]]:
        """Each question with the answers to its texts."""
        first = 0
        for one in self.questions:
            after = first + len(one.request(answered.labels).texts)
            yield one, answered._replace(texts=answered.texts[first:after])
            first = after


def parse_kserve(call: Call) -> Question:
    """`{"instances": [text or pair], "parameters"}`: best labels, or rankings where parameters ask for scores."""
    asked, parameters = _asked(call)
    is_ranking = any(parameters.value.get(name) is not None for name in _OF_RANKINGS)
    if is_ranking:
        return _Vertex(call.model, asked)
    return _KServe(call.model, asked._replace(parameters=replace(asked.parameters, threshold=ALL_SCORES)))


def parse_vertex(call: Call) -> Question:
    """`{"instances": [text, pair or a body of TEI], "parameters"}`: rankings, or scores of candidate labels."""
    call = with_model(call, _EXAMPLE)
    if zero_shot.asks_for_labels(call.value):
        beside: list[str] = []
        value = _unwrapped(call.value, beside)
        question = zero_shot.parse_hosted(call._replace(value=value), "instances", _VertexZeroShot)
        return replace(question, ignored=(*dict.fromkeys(beside), *question.ignored))
    body = Fields(call.value, _EXAMPLE)
    instances = body.get("instances")
    if isinstance(instances, list) and any(map(_is_of_tei, instances)):
        return _instances(call, body, instances)
    return _Vertex(call.model, _asked(call)[0])


def _is_of_tei(instance: Any) -> bool:
    """True for a query with texts, for TEI's forms of pairs and batches, and for a text with options beside it."""
    if not isinstance(instance, dict):
        return False
    return "query" in instance or ("inputs" in instance and (len(instance) > 1 or isinstance(instance["inputs"], list)))


def _instances(call: Call, body: Fields, instances: list[Any]) -> Question:
    """Instances as TEI reads them, of which `parameters` has the options that they leave open."""
    require_room("instances", len(instances), call.limits)
    parameters = body.object("parameters")
    shared = {name: parameters.get(name) for name in _OF_TEI if name in parameters}
    ignored = (*body.unread(), *parameters.unread())
    questions: list[Question] = []
    for index, one in enumerate(instances):
        value = shared | ({"inputs": one} if isinstance(one, str) else one if isinstance(one, dict) else {})
        parse = rerank.parse_tei if "query" in value else tei.parse_predict
        questions.append(parse(call._replace(value=value), f"instances[{index}]"))
    return _Instances(questions[0].model, tuple(questions), call.limits, ignored)


def _asked(call: Call) -> tuple[ClassifyRequest, Fields]:
    """The request, and the object of its parameters."""
    ignored: list[str] = []
    body = Fields(_unwrapped(call.value, ignored), _EXAMPLE)
    instances = body.get("instances")
    if not isinstance(instances, list):
        raise wrong_value("instances", "a list", instances, f"send {_EXAMPLE}")
    if not instances:
        raise EmptyInputError(f"`instances` is empty: send {_EXAMPLE}.")
    require_room("instances", len(instances), call.limits)
    texts = tuple([read_text(one, f"instances[{index}]", ignored) for index, one in enumerate(instances)])
    parameters = body.object("parameters")
    ignored += [*body.unread(), *(name for name in parameters.value if name not in PARAMETERS)]
    read = read_parameters(parameters.value)
    return ClassifyRequest(texts, read, call.options, tuple(dict.fromkeys(ignored))), parameters


def _unwrapped(value: Any, ignored: list[str]) -> Any:
    """The body with `{"inputs": text}` of an instance as the text; what stands beside it is added to `ignored`."""
    if not isinstance(value, dict) or not isinstance(value.get("instances"), list):
        return value
    instances = []
    for one in value["instances"]:
        is_wrapped = isinstance(one, dict) and "inputs" in one
        instances.append(one["inputs"] if is_wrapped else one)
        ignored += [f"instances.{name}" for name in one if name != "inputs"] if is_wrapped else []
    return {**value, "instances": instances}


DIALECTS = (
    Dialect(
        "kserve",
        ("/v1/models/{model_id:path}:predict",),
        parse_kserve,
        description="Labels of texts, by KServe's first protocol.",
        example=_EXAMPLE,
    ),
    Dialect(
        "vertex",
        ("/vertex",),
        parse_vertex,
        description="Classifies or ranks texts by the default model, as Vertex AI.",
        example=_EXAMPLE,
    ),
)
