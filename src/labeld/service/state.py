"""The state of a service and of its models: plain data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from labeld.cache.answers import CacheUse
from labeld.lifecycle.model import Model


@dataclass(frozen=True, slots=True)
class ModelState:
    """Where a model stands, in the words of `/status` (contract section 8), and of one that loads Loading."""

    state: Literal["Loadable", "Loading", "Loaded", "error", "TooBig"]
    estimated_time: float | None = None
    """Seconds until it answers, if that is up to waiting."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of this process is in use now."""

    in_flight: int
    """Requests that are being answered, those that wait for a model included."""
    waiting: int
    """Requests that wait for a model to be loaded."""
    loading: dict[str, float | None]
    """Models that are being loaded, and for how many seconds already; None where its turn has not come."""
    memory: int
    """Bytes."""
    memory_budget: int
    cache: CacheUse


def describe(model: Model) -> dict[str, Any]:
    """A loaded model's ids, labels and limits, as JSON has them."""
    return {
        "model_id": model.model_id,
        "model_sha": model.revision,
        "model_dtype": model.engine.precision,
        "precision_trial": None if model.choice is None else asdict(model.choice),
        "model_type": {"classifier": {"id2label": dict(enumerate(model.config.labels))}},
        "architecture": model.config.architecture,
        "max_input_length": model.encoder.max_tokens,
        "max_text_characters": model.encoder.max_characters,
        "function_to_apply": model.config.default_function,
    }
