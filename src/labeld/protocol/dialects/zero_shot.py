"""Zero-shot classification by an NLI model, as transformers' ZeroShotClassificationPipeline computes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from labeld.config import hypothesis
from labeld.config.labels import entailment, scores_candidates
from labeld.config.models_file import Windows, ZeroShotDefaults
from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.protocol.dialects.base import ALL_SCORES, Answered, Call, Dialect, Question, Role
from labeld.protocol.dialects.errors import EmptyInputError, WrongTaskError
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import cuts_by_default, windows
from labeld.protocol.errors import wrong_value
from labeld.protocol.parameters import read_parameters
from labeld.protocol.request import require_room
from labeld.scoring import aggregate, apply, rank, reaching
from labeld.types import ClassifyRequest, Logits, Options, Parameters, Ranking, Text, Threshold

TASK = "zero-shot-classification"
TEMPLATE = "This example is {}."
EXAMPLE = '{"inputs": "some text", "parameters": {"candidate_labels": ["a label", "another one"]}}'
NAMES = ("candidate_labels", "candidateLabels")
_NAMES = frozenset(NAMES)
CUT = Parameters(function_to_apply="none", truncation="only_first")
"""As the pipeline reads: the text is cut where it is too long, never the label. A header says how much."""


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """Texts, each with a hypothesis for every candidate label."""

    model: str | None
    texts: tuple[str, ...]
    candidates: tuple[str, ...]
    """Empty where the request names none: those of the alias."""
    options: Options
    limits: InputLimits
    template: str | None = None
    """None is the alias's, or TEMPLATE."""
    multi_label: bool | None = None
    """None is the alias's, or false."""
    parameters: Parameters = CUT
    top_k: int | None = None
    """At most this many labels of a text; None = all."""
    threshold: Threshold | None = None
    """Labels of a lower score are left out; None = none are."""
    ignored: tuple[str, ...] = field(default=(), kw_only=True)
    """Members of the body that mean nothing here."""
    place: str = field(default="inputs", kw_only=True)
    """The member of the body that has the texts."""
    labels_place: ClassVar[str] = f"parameters.{NAMES[0]}"
    example: ClassVar[str] = EXAMPLE

    @property
    def role(self) -> Role:
        """An NLI model."""
        return "zero_shot"

    def completed(self, said: ZeroShotDefaults) -> Self:
        """The question with an alias's defaults; raises InvalidRequestError where it has no labels, or too many."""
        labels = self.candidates or said.candidate_labels
        if not labels:
            raise EmptyInputError(f"`{self.labels_place}` has no label: send {self.example}.")
        require_room(self.place, len(self.texts) * len(labels), self.limits)
        require_labels(self.threshold, labels)
        return replace(
            self,
            candidates=labels,
            template=self.template or said.hypothesis_template,
            multi_label=said.multi_label if self.multi_label is None else self.multi_label,
        )

    def windowed(self, of_alias: Windows) -> Self:
        """The question as an alias with windows reads it, where it says nothing of long texts itself."""
        if of_alias.stride is None or not cuts_by_default(self.parameters, CUT):
            return self
        how = self.parameters.aggregate or of_alias.aggregate
        read = replace(CUT, stride=of_alias.stride, max_length=of_alias.max_length, aggregate=how, return_windows=True)
        return replace(self, parameters=read)

    def request(self, labels: Sequence[str]) -> ClassifyRequest:
        """A pair of text and hypothesis for each text and label; raises WrongTaskError."""
        if not scores_candidates(labels):
            raise WrongTaskError(TASK, labels, "use an NLI model, which has a label entailment")
        template = self.template or TEMPLATE
        hypotheses = [template.format(one) for one in self.candidates]
        pairs = tuple([Text(text, one) for text in self.texts for one in hypotheses])
        return ClassifyRequest(pairs, replace(self.parameters, threshold=ALL_SCORES), self.options, self.ignored)

    def scored(self, answered: Answered) -> list[Ranking]:
        """Each text's labels with their scores, best first, as many as are wanted."""
        return [reaching(one, self.threshold)[: self.top_k] for one in self.rankings(answered)]

    def rankings(self, answered: Answered) -> list[Ranking]:
        """The ranking of all candidate labels for each text."""
        entailed = entailment(answered.labels)
        assert entailed is not None
        contradicted = len(answered.labels) - 1 if entailed == 0 else 0  # as the pipeline chooses it
        names = (answered.labels[contradicted], answered.labels[entailed])
        count, found = len(self.candidates), []
        for first in range(0, len(answered.texts), count):
            scores = self._scores(_logits(answered.texts[first : first + count], names))
            whole = aggregate(scores, self.parameters.aggregate)
            found.append(rank(whole, self.candidates))
        return found

    def _scores(self, logits: Logits) -> Logits:
        """float32 [windows, labels] from the logits of contradiction and entailment, [windows, labels, 2]."""
        if self.multi_label or len(self.candidates) == 1:
            return apply(logits, "softmax")[..., 1]
        return apply(logits[..., 1], "softmax")


def _logits(answers: Sequence[Any], names: tuple[str, str]) -> Logits:
    """The logits of two labels, float32 [windows, candidates, 2]. The windows of a text are those of each label.

    NOTE: labels of different lengths leave different room, so a label may have a window less: its last one counts on.
    """
    rows = []
    for answer in answers:
        rankings = [one["labels"] for one in answer["windows"]] if isinstance(answer, dict) else [answer]
        by_label = [{one["label"]: one["score"] for one in ranking} for ranking in rankings]
        rows.append([[one[name] for name in names] for one in by_label])
    most = max(len(row) for row in rows)
    return np.array([row + row[-1:] * (most - len(row)) for row in rows], np.float32).transpose(1, 0, 2)


@dataclass(frozen=True, slots=True)
class Hosted(ZeroShot):
    """Texts as the hosted API and huggingface_hub ask."""

    is_list: bool = False
    is_old: bool = False
    """True for huggingface_hub before 1.0, which reads `{"sequence", "labels", "scores"}`."""

    def reply(self, answered: Answered) -> Any:
        """A list of labels and scores for a text, or those of each of several texts."""
        replies: list[Any] = []
        for text, found in zip(self.texts, self.scored(answered), strict=True):
            if self.is_old:
                names, scores = [one.label for one in found], [one.score for one in found]
                replies.append({"sequence": text, "labels": names, "scores": scores})
            else:
                replies.append([{"label": label, "score": score} for label, score in found])
        return replies if self.is_list else replies[0]


def asks_for_labels(value: Any) -> bool:
    """True where the body of the hosted API asks for zero-shot classification."""
    if not isinstance(value, dict):
        return False
    parameters = value.get("parameters")
    return not (_NAMES.isdisjoint(value) and (not isinstance(parameters, dict) or _NAMES.isdisjoint(parameters)))


def parse_hosted(call: Call, place: str = "inputs", kind: type[Hosted] = Hosted) -> Hosted:
    """`{"inputs": text or list, "parameters": {"candidate_labels", "hypothesis_template", "multi_label"}}`."""
    body = Fields(call.value, EXAMPLE)
    given = body.object("parameters")
    beside = {name: value for name, value in body.value.items() if name not in {place, "parameters"}}
    parameters = Fields(beside | given.value, EXAMPLE, "parameters")
    texts, is_list, beside_text = _texts(body.get(place), place, call)
    candidates = candidate_labels(parameters.get(parameters.first_of(NAMES), None), kind.labels_place)
    kept = read_parameters({name: parameters.get(name, None) for name in ("top_k", "threshold")})
    question = kind(
        call.model,
        texts,
        candidates,
        call.options,
        call.limits,
        template(parameters),
        multi_label(parameters),
        reading(parameters),
        kept.top_k,
        kept.threshold,
        is_list,
        is_old_client(call.headers),
        place=place,
    )
    return replace(question, ignored=(*beside_text, *parameters.unread()))


def _texts(inputs: Any, place: str, call: Call) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """The texts, whether they came as a list, and what stands beside one that means nothing.

    `{"text"}` and `{"sequences"}` are the forms of older clients.
    """
    ignored: tuple[str, ...] = ()
    if isinstance(inputs, dict):
        fields = Fields(inputs, EXAMPLE, place)
        inputs = fields.get(fields.first_of(("text", "sequences")))
        ignored = fields.unread()
    is_list = not isinstance(inputs, str)
    found = Fields({place: inputs} if inputs is not ... else {}, EXAMPLE)
    texts = found.one_or_more(place, call.limits)
    for index, text in enumerate(texts):
        if not text.strip():
            raise EmptyInputError(f"`{place}[{index}]` is empty: send {EXAMPLE}.")
    return tuple(texts), is_list, ignored


def candidate_labels(value: Any, place: str, example: str = EXAMPLE) -> tuple[str, ...]:
    """The labels of a list, or of a string with commas, as the pipeline reads it; none where there are none."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [one.strip() for one in value.split(",") if one.strip()]
    if not isinstance(value, list):
        raise wrong_value(place, 'a list of strings, or "a, b"', value, f"send {example}")
    for index, one in enumerate(value):
        if not isinstance(one, str):
            raise wrong_value(f"{place}[{index}]", "a string", one, f"send {example}")
        if not one.strip():
            raise EmptyInputError(f"`{place}[{index}]` is empty: send {example}.")
    return tuple(value)


def require_labels(threshold: Threshold | None, candidates: Sequence[str]) -> None:
    """Raises InvalidRequestError where a threshold is for a label that is no candidate."""
    for label, _ in threshold if isinstance(threshold, tuple) else ():
        if label not in candidates:
            raise InvalidRequestError(
                f"`parameters.threshold` names the label {label[:40]!r}, which `candidate_labels` has not: send one "
                "of these."
            )


def template(parameters: Fields) -> str | None:
    """The hypothesis template, which `str.format` may fill with a label as the pipeline does; None without one."""
    name = parameters.first_of(("hypothesis_template", "hypothesisTemplate"))
    if name not in parameters:
        return None
    found = parameters.text(name, default="")
    if len(found) > hypothesis.MOST_CHARACTERS:
        raise InvalidRequestError(
            f"`parameters.hypothesis_template` has {len(found)} characters, more than the limit of "
            f"{hypothesis.MOST_CHARACTERS}: send a shorter one, or leave it out."
        )
    if not hypothesis.has_places(found):
        raise InvalidRequestError(
            f"`parameters.hypothesis_template` is {found[:60]!r}, but must have {hypothesis.FORM}: send {TEMPLATE!r}, "
            "or leave it out."
        )
    return found


def multi_label(parameters: Fields) -> bool | None:
    """Whether several labels may hold; None where the request leaves it open."""
    name = parameters.first_of(("multi_label", "multiLabel"))
    return parameters.flag(name) if name in parameters else None


def reading(parameters: Fields) -> Parameters:
    """How long texts are read by the members of a request."""
    read = windows(parameters, CUT, of="only_first")
    return replace(read, return_windows=read.stride is not None)


def is_old_client(headers: Mapping[str, str]) -> bool:
    """True for huggingface_hub before 1.0, by its User-Agent."""
    return "hf_hub/0." in headers.get("user-agent", "")


DIALECTS: tuple[Dialect[Question], ...] = (
    Dialect(
        "zero_shot",
        (
            "/pipeline/zero-shot-classification/{model_id:path}",
            "/hf-inference/models/{model_id:path}/pipeline/zero-shot-classification",
        ),
        parse_hosted,
        description="Scores candidate labels by an NLI model, as the Hub's task zero-shot-classification.",
        example=EXAMPLE,
    ),
)
