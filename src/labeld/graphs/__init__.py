"""model_type -> the builder of its packed graph. A new architecture is one file and one row here."""

from collections.abc import Callable

from labeld.checkpoint import Checkpoint
from labeld.errors import UnsupportedArchitectureError
from labeld.graphs.bert import build_bert, build_distilbert
from labeld.graphs.blocks import PackedGraph
from labeld.model_config import ModelConfig

BUILDERS: dict[str, Callable[[ModelConfig, Checkpoint], PackedGraph]] = {
    "bert": build_bert,
    "distilbert": build_distilbert,
}


def build(config: ModelConfig, checkpoint: Checkpoint) -> PackedGraph:
    """The packed graph of a model; raises UnsupportedArchitectureError when none computes it exactly."""
    require_supported(config)
    return BUILDERS[config.model_type](config, checkpoint)


def require_supported(config: ModelConfig) -> None:
    """Raises UnsupportedArchitectureError naming the model_type when no packed graph computes it."""
    if config.model_type not in BUILDERS:
        raise UnsupportedArchitectureError(f"model_type {config.model_type!r}")
