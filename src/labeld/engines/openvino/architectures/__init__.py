"""The table of architectures: model_type -> the builder of its packed graph. A new one is a file and a row here."""

from collections.abc import Callable

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino.architectures.bart import build_bart
from labeld.engines.openvino.architectures.bert import build_bert, build_distilbert
from labeld.engines.openvino.architectures.deberta_v2 import build_deberta
from labeld.engines.openvino.architectures.electra import build_electra
from labeld.engines.openvino.architectures.modernbert import build_modernbert
from labeld.engines.openvino.architectures.roberta import build_roberta
from labeld.engines.openvino.layers import PackedGraph
from labeld.errors import UnsupportedArchitectureError

BUILDERS: dict[str, Callable[[ModelConfig, Checkpoint], PackedGraph]] = {
    "bert": build_bert,
    "distilbert": build_distilbert,
    "roberta": build_roberta,
    "xlm-roberta": build_roberta,
    "camembert": build_roberta,
    "electra": build_electra,
    "modernbert": build_modernbert,
    "deberta-v2": build_deberta,
    "bart": build_bart,
}
"""Builders by the model_type of config.json."""


def build(config: ModelConfig, checkpoint: Checkpoint) -> PackedGraph:
    """The packed graph of a model; raises UnsupportedArchitectureError when none computes it exactly."""
    require_supported(config)
    return BUILDERS[config.model_type](config, checkpoint)


def require_supported(config: ModelConfig) -> None:
    """Raises UnsupportedArchitectureError naming the model_type, or a key, when no packed graph computes it."""
    if config.model_type not in BUILDERS:
        raise UnsupportedArchitectureError(f"model_type {config.model_type!r}")
    causal = config.raw.get("is_causal")  # transformers masks other tokens than its architecture says where this is set
    if causal or (causal is not None and config.model_type == "bart"):
        raise UnsupportedArchitectureError(f"{config.model_type} with is_causal")
