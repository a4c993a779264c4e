"""RoBERTa classifiers, XLM-RoBERTa and CamemBERT among them, as packed graphs.

The references are transformers' RobertaForSequenceClassification, XLMRobertaForSequenceClassification and
CamembertForSequenceClassification, which differ in nothing but the name. All three keep their weights below `roberta.`.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures.encoder import Names, Shape, embed, encode
from labeld.errors import FolderError

ROBERTA = Names.of("roberta")


def build_roberta(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of a RoBERTa classifier; raises FolderError for a variant that cannot be computed exactly."""
    weights, shape = layers.Weights(checkpoint), Shape.of(config)
    padding_idx, max_tokens = _positions_of(config)
    x, layout = embed(config, weights, ROBERTA, shape.hidden)
    x = encode(x, weights, ROBERTA, shape, layout)
    x = op.tanh(weights.linear(x, "classifier.dense", shape.hidden, shape.hidden))
    y = weights.linear(x, "classifier.out_proj", shape.hidden, len(config.labels))
    return layout.finish(y, max_tokens, partial(positions, padding_idx=padding_idx))


def _positions_of(config: ModelConfig) -> tuple[int, int]:
    """`padding_idx`, and the number of positions after it, which is the longest text."""
    padding_idx = config.raw["pad_token_id"]
    rows = config.integer("max_position_embeddings")
    if type(padding_idx) is not int or not 0 <= padding_idx < rows - 1:
        raise FolderError(
            f"config.json: pad_token_id is {padding_idx!r}, but must be a whole number from 0 to {rows - 2}, since "
            f"the {rows} positions of {config.model_type} count from the one after it."
        )
    return padding_idx, rows - padding_idx - 1


def positions(
    ids: layers.PackedSequence, sequence_starts: layers.PackedSequence, lengths: NDArray[np.int64], *, padding_idx: int
) -> layers.PackedSequence:
    """Position of each token, int32 [1, T]: `create_position_ids_from_input_ids` of transformers, text by text.

    Counts from padding_idx + 1. Padding tokens, which a text may contain as words, do not count: their position is
    padding_idx.
    """
    result = np.zeros_like(ids)
    total = int(lengths.sum())
    real = (ids[0, :total] != padding_idx).astype(np.int32)
    counted = np.cumsum(real, dtype=np.int32)
    before = (counted - real)[sequence_starts]
    result[0, :total] = (counted - np.repeat(before, lengths)) * real + padding_idx
    return result
