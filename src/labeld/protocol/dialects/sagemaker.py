"""The dialect of SageMaker: shapes of the hosted API and of TEI at one path, whose task is found in the body."""

from typing import Any

from labeld.protocol.dialects import rerank, tei, zero_shot
from labeld.protocol.dialects.base import Call, Dialect, Question
from labeld.protocol.dialects.fields import with_model
from labeld.protocol.dialects.labelled import parse_texts
from labeld.protocol.request import OF_TEI

_EXAMPLE = '{"inputs": "a text"}'


def parse_invocation(call: Call) -> Question:
    """`{"inputs"}` is classified, with candidate labels zero-shot; `{query, texts}`, also in `inputs`, is ranked.

    `{"inputs"}` beside options of TEI is read and answered as TEI does, which has this path, too.
    """
    call = with_model(call, _EXAMPLE)
    value = call.value
    if zero_shot.asks_for_labels(value):
        return zero_shot.parse_hosted(call)
    if isinstance(value, dict) and "query" in value and "inputs" not in value:
        return rerank.parse_rerank(call)
    if isinstance(value, dict) and isinstance(value.get("inputs"), dict) and "query" in value["inputs"]:
        return rerank.parse_hosted(call)
    if _is_of_tei(value):
        return tei.parse_predict(call)
    return parse_texts(call)


def _is_of_tei(value: Any) -> bool:
    """True for a body with options of TEI, and without the `parameters` of the hosted API."""
    return (
        isinstance(value, dict) and not value.get("parameters") and any(value.get(name) is not None for name in OF_TEI)
    )


DIALECTS = (
    Dialect(
        "sagemaker",
        ("/invocations",),
        parse_invocation,
        description="Classifies, scores candidate labels or ranks by the default model, as SageMaker asks.",
        example=_EXAMPLE,
    ),
)
