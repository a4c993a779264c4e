"""Dialects of `/classify`: vLLM's, and Infinity's, which has the member `raw_scores`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from labeld.config.models_file import Windows
from labeld.protocol.dialects.base import ALL_SCORES, Answered, Call, Dialect, Question
from labeld.protocol.dialects.classification import Classification, best_label, in_order
from labeld.protocol.dialects.errors import openai_error
from labeld.protocol.dialects.fields import Fields
from labeld.protocol.dialects.lengths import CUT, cuts_by_default, vllm_cut, windows
from labeld.protocol.dialects.window_scores import ranking_of, windows_of, with_windows
from labeld.types import ClassifyRequest, Text

_EXAMPLE = '{"model": "org/name", "input": ["a text", "another one"]}'


@dataclass(frozen=True, slots=True)
class _Classify(Classification):
    request_id: str
    created: int

    def reply(self, answered: Answered) -> Any:
        return {
            "id": f"classify-{self.request_id}",
            "object": self.kind,
            "created": self.created,
            "model": answered.model,
            "data": [self.result(index, one, answered) for index, one in enumerate(answered.texts)],
            "usage": {"prompt_tokens": answered.tokens, "total_tokens": answered.tokens},
        }

    @property
    def kind(self) -> str:
        """The member `object` of the reply."""
        return "list"

    def result(self, index: int, answer: Any, answered: Answered) -> Any:
        """One text's: its best label, and the scores of all in the order of their ids; also those of its windows."""
        windows = [
            {"start": one["start"], "end": one["end"], **_scores(one, answered.labels)} for one in windows_of(answer)
        ]
        return {
            "index": index,
            **_scores(answer, answered.labels),
            "num_classes": len(answered.labels),
            **({"windows": windows} if windows else {}),
        }

    @property
    def by_id(self) -> bool:
        return True


def _scores(answer: Any, labels: Sequence[str]) -> dict[str, Any]:
    """The members with the scores of a text or of one of its windows."""
    ranking = ranking_of(answer)
    return {"label": best_label(ranking), "probs": in_order(ranking, labels)}


class _Infinity(_Classify):
    def windowed(self, windows: Windows) -> Self:
        parameters = self.asked.parameters
        if windows.stride is None or not cuts_by_default(parameters):
            return self
        return replace(self, asked=self.asked._replace(parameters=replace(parameters, truncation=None)))

    @property
    def kind(self) -> str:
        return "classify"

    @property
    def by_id(self) -> bool:
        return False

    def result(self, index: int, answer: Any, answered: Answered) -> Any:
        del index, answered
        return answer


def parse_classify(call: Call) -> Question:
    """VLLM's `{model, input, truncate_prompt_tokens, use_activation}`, Infinity's `{model, input, raw_scores}`."""
    fields = Fields(call.value, _EXAMPLE)
    texts = tuple([Text(one) for one in fields.one_or_more("input", call.limits)])
    kind: type[_Classify] = _Infinity if "raw_scores" in fields else _Classify
    if kind is _Infinity:
        is_raw, parameters = fields.flag("raw_scores"), CUT
    else:
        is_raw = not fields.has_activation()
        parameters = replace(vllm_cut(fields), threshold=ALL_SCORES)
    parameters = with_windows(fields, windows(fields, parameters))
    if is_raw:
        parameters = replace(parameters, function_to_apply="none")
    model = call.model or fields.model()
    asked = ClassifyRequest(texts, parameters, call.options, fields.unread())
    return kind(model, asked, call.request_id, call.created)


DIALECTS = (
    Dialect(
        "classify",
        ("/classify",),
        parse_classify,
        openai_error,
        description="Classifies texts, as vLLM; with `raw_scores` as Infinity.",
        example=_EXAMPLE,
    ),
)
