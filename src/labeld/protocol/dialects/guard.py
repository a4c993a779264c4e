"""Dialects that check whole texts by a policy: OpenAI's moderation, detectors of TrustyAI and FMS, LiteLLM's guardrail.

A policy is one of the configuration file, or a model that the request names.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from labeld.config.settings import InputLimits
from labeld.errors import InvalidRequestError
from labeld.protocol.dialects.base import Call, Dialect
from labeld.protocol.dialects.errors import detector_error, openai_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.errors import wrong_value
from labeld.protocol.request import require_room
from labeld.protocol.verdict import Adjustments, Finding, Verdict
from labeld.types import Options

CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)
"""Those that OpenAI's typed clients need in every result."""
TEXT_PARTS = {"text", "input_text", "output_text"}
"""Types of the parts of a content that are texts, in chats and responses."""
MOST_NAMED = 5
"""Findings that a reason names, at most."""

_MODERATION = '{"input": "a text"}'
_CONTENTS = '{"contents": ["a text"]}'
_LITELLM = '{"texts": ["a text"], "input_type": "request"}'


class UnreadableContentError(InvalidRequestError):
    """A part of the content is no text, so that nobody would check it."""

    def __init__(self, place: str, kind: str) -> None:
        super().__init__(
            f"`{place}` has the type {kind[:40]!r}, which no model here reads: leave it out, and check it elsewhere."
        )


@dataclass(frozen=True, slots=True)
class Check(ABC):
    """One parsed body: texts to check."""

    name: str | None
    """The policy, or the model, that it names."""
    texts: tuple[str, ...]
    options: Options
    adjusted: Adjustments = field(default_factory=Adjustments)
    takes_any_name: bool = False
    """True where a name that nobody has stands for the default policy: clients name models of OpenAI."""
    ignored: tuple[str, ...] = field(default=(), kw_only=True)
    """Members of the body that mean nothing here."""

    @abstractmethod
    def reply(self, policy: str, verdicts: Sequence[Verdict]) -> Any:
        """The value of the reply's JSON, by the verdict on each text; `policy` is the one that was taken."""


@dataclass(frozen=True, slots=True)
class _Moderation(Check):
    is_one: bool = False
    """True where the texts are the parts of one input."""
    request_id: str = ""

    def reply(self, policy: str, verdicts: Sequence[Verdict]) -> Any:
        groups = [verdicts] if self.is_one else [[one] for one in verdicts]
        results = [self._result(group) for group in groups]
        return {"id": f"modr-{self.request_id}", "model": policy, "results": results}

    @staticmethod
    def _result(parts: Sequence[Verdict]) -> dict[str, Any]:
        """One result for the parts of an input; every category of OpenAI is there."""
        scores = dict.fromkeys(CATEGORIES, 0.0)
        for part in parts:
            for category, score in part.scores.items():
                scores[category] = max(scores.get(category, 0.0), score)
        flagged = frozenset[str]().union(*[part.flagged for part in parts])
        checked = frozenset[str]().union(*[part.scores for part in parts])
        return {
            "flagged": bool(flagged),
            "categories": {name: name in flagged for name in scores},
            "category_scores": scores,
            "category_applied_input_types": {name: ["text"] if name in checked else [] for name in scores},
        }


def parse_moderation(call: Call) -> Check:
    """`{model?, input}`, where the input is a text, a list of texts, or one input as a list of its parts."""
    fields = Fields(call.value, _MODERATION)
    given = fields.get("input")
    is_one = isinstance(given, list) and any(isinstance(one, dict) for one in given)
    if isinstance(given, str):
        texts = [given]
    elif is_one:
        require_room("input", len(given), call.limits)
        texts = parts("input", given)
    else:
        texts = fields.texts("input", call.limits)
    return _Moderation(
        fields.optional_text("model"),
        tuple(texts),
        call.options,
        takes_any_name=True,
        is_one=is_one,
        request_id=call.request_id,
        ignored=fields.unread(),
    )


def parts(place: str, given: Sequence[Any]) -> list[str]:
    """The texts of `[{"type": "text", "text": …}]`; raises UnreadableContentError for images and the like."""
    texts = []
    for index, one in enumerate(given):
        its = f"{place}[{index}]"
        if not isinstance(one, dict):
            raise wrong_value(its, "an object", one, 'send {"type": "text", "text": "a text"}')
        if (kind := str(one.get("type", "text"))) not in TEXT_PARTS:
            raise UnreadableContentError(its, kind)
        if not isinstance(text := one.get("text", ...), str):
            raise wrong_value(f"{its}.text", "a string", text, 'send {"type": "text", "text": "a text"}')
        texts.append(text)
    return texts


class _Contents(Check):
    def reply(self, policy: str, verdicts: Sequence[Verdict]) -> Any:
        del policy
        return [[_span(text, one) for one in found.findings] for text, found in zip(self.texts, verdicts, strict=True)]


def _span(text: str, found: Finding) -> dict[str, Any]:
    return {
        "start": found.start,
        "end": found.end,
        "text": text[found.start : found.end],
        "detection": found.label,
        "detection_type": found.category,
        "score": found.score,
    }


def parse_contents(call: Call) -> Check:
    """`{contents, detector_params: {threshold, label_thresholds, safe_labels}}`, and the header `detector-id`."""
    fields = Fields(call.value, _CONTENTS)
    texts = fields.texts("contents", call.limits)
    given = fields.object("detector_params")
    by_label = given.object("label_thresholds", '{"toxic": 0.5}').value
    threshold = given.get("threshold", None)
    adjusted = Adjustments(
        None if threshold is None else _threshold("detector_params.threshold", threshold),
        {label: _threshold(f"detector_params.label_thresholds.{label[:40]}", one) for label, one in by_label.items()},
        _safe_labels(given.get("safe_labels", None)),
    )
    name, ignored = call.headers.get("detector-id") or None, (*fields.unread(), *given.unread())
    return _Contents(name, tuple(texts), call.options, adjusted, ignored=ignored)


def _threshold(place: str, value: Any) -> float:
    if type(value) not in {int, float} or not 0 <= value <= 1:
        raise wrong_value(place, "a number from 0 to 1", value, "send 0.5")
    return float(value)


def _safe_labels(value: Any) -> tuple[str | int, ...]:
    """Names or ids of labels, as a list or as one."""
    found = [] if value is None else value if isinstance(value, list) else [value]
    for index, one in enumerate(found):
        if type(one) not in {str, int}:
            raise wrong_value(f"detector_params.safe_labels[{index}]", "a label", one, 'send ["neutral"]')
    return tuple(found)


class _LiteLlm(Check):
    def reply(self, policy: str, verdicts: Sequence[Verdict]) -> Any:
        found = [(index, finding) for index, one in enumerate(verdicts) for finding in one.findings]
        if not found:
            return {"action": "NONE", "blocked_reason": None}
        worst = sorted(found, key=lambda one: -one[1].score)[:MOST_NAMED]
        named = [
            f"{one.category} {one.score:.3f} in characters {one.start} to {one.end} of text {index + 1}"
            for index, one in worst
        ]
        more = f", and {len(found) - len(worst)} more" if len(found) > len(worst) else ""
        return {"action": "BLOCKED", "blocked_reason": f"Blocked by the policy {policy}: {'; '.join(named)}{more}."}


def parse_litellm(call: Call) -> Check:
    """`{texts, structured_messages, additional_provider_specific_params: {policy}}`; messages where texts are none."""
    fields = Fields(call.value, _LITELLM)
    if fields.value.get("images"):
        raise UnreadableContentError("images", "image")
    given, messages = fields.value.get("texts"), fields.value.get("structured_messages")
    if given is None and messages is None:
        raise wrong_value("texts", "a list of strings", ..., f"send {_LITELLM}")
    texts = [] if given is None or given == [] else fields.texts("texts", call.limits)
    if not texts and messages is not None:
        texts = _contents_of(messages, call.limits)
    extra = fields.object("additional_provider_specific_params")
    return _LiteLlm(extra.optional_text("policy"), tuple(texts), call.options)


def _contents_of(messages: Any, limits: InputLimits) -> list[str]:
    """The texts of chat messages; one without content, such as a call of a tool, has none."""
    if not isinstance(messages, list):
        raise wrong_value("structured_messages", "a list of messages", messages, f"send {_LITELLM}")
    texts: list[str] = []
    for index, message in enumerate(messages):
        its = f"structured_messages[{index}]"
        content = Fields(message, '{"role": "user", "content": "a text"}', its).value.get("content")
        if isinstance(content, list):
            texts += parts(f"{its}.content", content)
        elif content is not None:
            texts.append(Fields(message, '{"role": "user", "content": "a text"}', its).text("content", default=""))
    require_room("structured_messages", len(texts), limits)
    return texts


DIALECTS: tuple[Dialect[Check], ...] = (
    Dialect(
        "moderation",
        ("/v1/moderations",),
        parse_moderation,
        openai_error,
        description="Checks texts by a policy of the configuration file, as OpenAI's moderation.",
        example=_MODERATION,
    ),
    Dialect(
        "detector",
        ("/api/v1/text/contents",),
        parse_contents,
        detector_error,
        description="Finds what a policy flags in texts, as a detector of TrustyAI or FMS Guardrails.",
        example=_CONTENTS,
    ),
    Dialect(
        "litellm",
        ("/beta/litellm_basic_guardrail_api",),
        parse_litellm,
        description="Blocks texts by a policy, as LiteLLM's generic guardrail API asks.",
        example=_LITELLM,
    ),
)
