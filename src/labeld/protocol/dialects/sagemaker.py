"""The dialect of SageMaker: the hosted API's shapes at one path, whose task is found in the body."""

from labeld.protocol.dialects import rerank, zero_shot
from labeld.protocol.dialects.base import Call, Dialect, Question
from labeld.protocol.dialects.classification import Classification
from labeld.protocol.request import request_of


def parse_invocation(call: Call) -> Question:
    """`{"inputs"}` is classified, with candidate labels zero-shot; `{query, texts}`, also in `inputs`, is ranked."""
    value = call.value
    if zero_shot.asks_for_labels(value):
        return zero_shot.parse_hosted(call)
    if isinstance(value, dict) and "query" in value and "inputs" not in value:
        return rerank.parse_rerank(call)
    if isinstance(value, dict) and isinstance(value.get("inputs"), dict) and "query" in value["inputs"]:
        return rerank.parse_hosted(call)
    return Classification(call.model, request_of(value, call.headers, "", call.limits))


DIALECTS = (
    Dialect(
        "sagemaker",
        ("/invocations",),
        parse_invocation,
        description="Classifies, scores candidate labels or ranks by the default model, as SageMaker asks.",
    ),
)
