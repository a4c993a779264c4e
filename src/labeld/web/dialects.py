"""Every dialect that is served, besides the hosted API's own text-classification, and the GETs that belong to them."""

from collections.abc import Callable, Sequence
from typing import Any

from labeld.protocol.dialects import (
    classify,
    guard,
    instances,
    jina,
    open_inference,
    rerank,
    sagemaker,
    tei,
    zero_shot,
)
from labeld.protocol.dialects.base import Dialect

DIALECTS = (
    *rerank.DIALECTS,
    *zero_shot.DIALECTS,
    *tei.DIALECTS,
    *classify.DIALECTS,
    *open_inference.DIALECTS,
    *instances.DIALECTS,
    *sagemaker.DIALECTS,
    *jina.DIALECTS,
)
GUARDS = guard.DIALECTS
"""Those that several models answer, by a policy."""
EVERY_DIALECT: tuple[Dialect[Any], ...] = (*DIALECTS, *GUARDS)

LIVE: dict[str, Any] = {"/health": {"status": "ok"}, "/v2/health/live": {"live": True}}
"""Paths that are 200 while the process lives, with their replies."""
READY: dict[str, Any] = {
    "/ready": {"status": "ready"},
    "/ping": {"status": "ready"},
    "/v2/health/ready": {"ready": True},
}
"""Paths that are 200 while requests are answered, with their replies."""

Describe = Callable[[str, Sequence[str]], Any]
"""A model's name as it was asked for, and its labels -> the reply."""
_VERSION = "/v2/models/{model_id:path}/versions/{version}"
OF_MODEL: dict[str, Describe] = {
    "/models/{model_id:path}/health": lambda *_: {"status": "ok"},
    # before those without a version, which would take all of it for a model's name
    f"{_VERSION}/ready": lambda name, _: {"name": name, "ready": True},
    _VERSION: open_inference.describe_model,
    "/v2/models/{model_id:path}/ready": lambda name, _: {"name": name, "ready": True},
    "/v2/models/{model_id:path}": open_inference.describe_model,
}
"""Paths that are 200 when a model answers, for which it may be loaded first."""

GETS = {
    "/models/{model_id}/health": "200 when the model answers.",
    "/v2/models/{model_id}/ready": "200 when the model answers, by the Open Inference Protocol.",
    "/v2/models/{model_id}": "The model's tensors, by the Open Inference Protocol.",
    "/v2/models/{model_id}/versions/{version}": "The tensors of a version of a model.",
    "/v2/models/{model_id}/versions/{version}/ready": "200 when the version of a model answers.",
    "/v2": "The server, by the Open Inference Protocol.",
    "/health": "200 while the process lives.",
    "/v2/health/live": "200 while the process lives, by the Open Inference Protocol.",
    "/ready": "200 while requests are answered, else 503.",
    "/ping": "200 while requests are answered, else 503, as SageMaker asks.",
    "/v2/health/ready": "200 while requests are answered, else 503, by the Open Inference Protocol.",
}
"""Sentences of the API's description."""
