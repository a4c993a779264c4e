"""model_type -> the builder of its packed graph. A new architecture is one file and one row here."""

from collections.abc import Callable

from labeld.checkpoint import Checkpoint
from labeld.errors import FolderError
from labeld.graphs.bert import build_bert, build_distilbert
from labeld.graphs.blocks import PackedGraph
from labeld.graphs.deberta import build_deberta
from labeld.model_config import ModelConfig

BUILDERS: dict[str, Callable[[ModelConfig, Checkpoint], PackedGraph]] = {
    "bert": build_bert,
    "distilbert": build_distilbert,
    "deberta-v2": build_deberta,
}


def build(config: ModelConfig, checkpoint: Checkpoint) -> PackedGraph:
    """The packed graph of a model; raises FolderError when there is none that computes it exactly."""
    require_supported(config)
    return BUILDERS[config.model_type](config, checkpoint)


def require_supported(config: ModelConfig) -> None:
    """Raises FolderError naming the model_type when no packed graph computes it."""
    if config.model_type not in BUILDERS:
        raise FolderError(f"config.json: model_type {config.model_type!r} is not supported: {', '.join(BUILDERS)} are.")
