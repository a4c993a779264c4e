"""The state of a service and of its models: plain data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from labeld.cache.answers import CacheUse
from labeld.errors import LabeldError, ModelTooLargeError
from labeld.interface import Interface
from labeld.lifecycle.model import Model


@dataclass(frozen=True, slots=True)
class ModelState:
    """The state of a model, in the words of `/status/{id}` (contract section 8) and `Loading`."""

    state: Literal["Loadable", "Loading", "Loaded", "error", "TooBig"]
    estimated_time: float | None = None
    """Seconds until it answers; None if that is now, or never without a change."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The load of this process at one moment."""

    in_flight: int
    """Requests that are being answered, those that wait for a model included."""
    waiting: int
    """Requests that wait for a model to be loaded."""
    loading: dict[str, float | None]
    """Seconds since the load of each loading model began; None for one that waits for its turn."""
    memory: int
    """Bytes that the process uses."""
    memory_budget: int
    cache: CacheUse
    queued_seconds: float
    """Seconds of work, at the measured speed, in the queue that is fullest."""
    busy_seconds: float
    """Seconds for which the streams have computed so far, on average."""


def failed(error: Exception) -> ModelState:
    """The state of a model whose last load failed with this error."""
    sentence = error.sentence(Interface.HTTP) if isinstance(error, LabeldError) else str(error)
    return ModelState("TooBig" if isinstance(error, ModelTooLargeError) else "error", error=sentence)


def describe(model: Model, max_inputs: int, *, ranks: bool) -> dict[str, Any]:
    """The ids, labels and limits of a loaded model, for JSON, by the names of TEI where it has them.

    Its clients rank by a model that is a `reranker`: one with one label, or with a label to rank by (`ranks`).
    """
    labels = model.config.labels
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: number for number, label in enumerate(labels)}}
    return {
        "model_id": model.model_id,
        "model_sha": model.revision,
        "model_dtype": model.engine.precision,
        "precision_trial": None if model.choice is None else asdict(model.choice),
        "model_type": {"reranker" if ranks or len(labels) == 1 else "classifier": names},
        "architecture": model.config.architecture,
        "max_input_length": model.encoder.max_tokens,
        "max_text_characters": model.encoder.max_characters,
        "max_client_batch_size": max_inputs,
        "function_to_apply": model.config.default_function,
    }
