"""DeBERTa-v2 and v3 classifiers (model_type deberta-v2) as packed graphs.

The reference is transformers' DebertaV2ForSequenceClassification. Its disentangled attention (arXiv 2006.03654) is in
`disentangled_attention.py`.
"""

import sys
from dataclasses import dataclass

import numpy as np
from openvino import Node
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures.disentangled_attention import Attention, PackedSequence
from labeld.engines.openvino.architectures.relative_positions import Distances
from labeld.errors import FolderError


def build_deberta(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of a DeBERTa-v2 classifier; raises FolderError for a variant that cannot be computed exactly."""
    shape, weights = _Shape.of(config), layers.Weights(checkpoint)
    words, table = weights.words("deberta.embeddings.word_embeddings", shape.vocabulary, shape.embedding)
    row = PackedSequence(words, shape.distances, has_types=shape.types > 0, has_positions=shape.positions > 0)
    attention = Attention(row, shape.heads, weights, checkpoint, shape.eps)
    activate = layers.activation(config.raw["hidden_act"])
    embedded = x = _embed(row, shape, weights, checkpoint)
    for index in range(shape.num_layers):
        prefix = f"deberta.encoder.layer.{index}."
        is_last = index == shape.num_layers - 1
        context = attention.first_tokens(x, prefix) if is_last else attention.all_tokens(x, prefix)
        x = layers.keep_first_tokens(x, row.sequence_starts) if is_last else x
        attended = weights.linear(context, prefix + "attention.output.dense", shape.hidden, shape.hidden)
        x = shape.norm(weights, op.add(attended, x), prefix + "attention.output.LayerNorm")
        y = activate(weights.linear(x, prefix + "intermediate.dense", shape.hidden, shape.intermediate))
        y = weights.linear(y, prefix + "output.dense", shape.intermediate, shape.hidden)
        x = shape.norm(weights, op.add(y, x), prefix + "output.LayerNorm")
        if index == 0 and shape.kernel:
            convolved = _convolve(embedded, row, shape, checkpoint, config)
            convolved = layers.keep_first_tokens(convolved, row.sequence_starts) if is_last else convolved
            x = shape.norm(weights, op.add(x, convolved), "deberta.encoder.conv.LayerNorm")
    x = weights.linear(x, "pooler.dense", shape.hidden, shape.hidden)
    x = layers.activation(config.raw["pooler_hidden_act"])(x)
    y = weights.linear(x, "classifier", shape.hidden, len(config.labels))
    model = layers.logits(y, list(row.inputs.values()))
    return layers.PackedGraph(model, row.pack, shape.positions or sys.maxsize, table)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Sizes and options of config.json, validated."""

    num_layers: int
    hidden: int
    heads: layers.Heads
    intermediate: int
    eps: float
    vocabulary: int
    embedding: int
    positions: int
    """Rows of the position table; 0 if there is none (`position_biased_input` is false)."""
    types: int
    """Token types; 0 if there are none."""
    kernel: int
    """Tokens that the convolution sees; 0 if there is none."""
    distances: Distances

    @classmethod
    def of(cls, config: ModelConfig) -> "_Shape":
        hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
        if hidden % heads:
            raise FolderError(f"config.json: {heads} attention heads do not divide a width of {hidden}.")
        for name, needed in (("attention_head_size", hidden // heads), ("pooler_hidden_size", hidden)):
            if config.whole(name, needed) != needed:
                raise FolderError(f"config.json: {name} is {config.raw[name]}, but the other sizes need {needed}.")
        kernel = max(config.whole("conv_kernel_size"), 0)
        if kernel and kernel % 2 == 0:
            raise FolderError(f"config.json: conv_kernel_size is {kernel}, but only odd sizes keep a text's length.")
        biased = config.flag("position_biased_input")
        return cls(
            num_layers=config.integer("num_hidden_layers"),
            hidden=hidden,
            heads=layers.Heads(heads, hidden // heads),
            intermediate=config.integer("intermediate_size"),
            eps=config.number("layer_norm_eps"),
            vocabulary=config.integer("vocab_size"),
            embedding=config.whole("embedding_size", hidden),
            positions=config.integer("max_position_embeddings") if biased else 0,
            types=max(config.whole("type_vocab_size"), 0),
            kernel=kernel,
            distances=Distances.of(config),
        )

    def norm(self, weights: layers.Weights, x: Node, name: str) -> Node:
        """LayerNorm with the width and `eps` that all of this model's have."""
        return weights.norm(x, name, self.hidden, self.eps)


def _embed(row: PackedSequence, shape: _Shape, weights: layers.Weights, checkpoint: Checkpoint) -> Node:
    """`DebertaV2Embeddings`: [1, T, hidden]."""
    root = "deberta.embeddings."
    x = row.words
    if shape.positions:
        positions = weights.embed(row.positions, root + "position_embeddings", shape.positions, shape.embedding)
        x = op.add(x, positions)
    if shape.types:
        x = op.add(x, weights.embed(row.types, root + "token_type_embeddings", shape.types, shape.embedding))
    if shape.embedding != shape.hidden:
        projection = checkpoint.take_stored(root + "embed_proj.weight", shape.hidden, shape.embedding)
        x = op.matmul(x, layers.constant(projection), False, True)
    return shape.norm(weights, x, root + "LayerNorm")


def _convolve(x: Node, row: PackedSequence, shape: _Shape, checkpoint: Checkpoint, config: ModelConfig) -> Node:
    """`ConvLayer` up to its activation, [1, T, hidden]: each text is convolved as if it were padded with zeros.

    Computed as a product of shifted copies, [1, groups, T, kernel * channels of a group], with the kernel.
    """
    groups = config.whole("conv_groups")
    if groups < 1 or shape.hidden % groups:
        raise FolderError(f"config.json: conv_groups is {groups}, but must divide a width of {shape.hidden}.")
    channels = shape.hidden // groups
    kernel = checkpoint.take("deberta.encoder.conv.conv.weight", shape.hidden, channels, shape.kernel)
    kernel = kernel.reshape(groups, channels, channels, shape.kernel).transpose(0, 3, 2, 1)
    kernel = np.ascontiguousarray(kernel).reshape(1, groups, shape.kernel * channels, channels)
    copies = [
        op.reshape(copy, layers.integers(1, -1, groups, channels), False) for copy in row.shifted(x, shape.kernel // 2)
    ]
    stacked = op.transpose(op.concat(copies, 3), layers.integers(0, 2, 1, 3))
    y = op.transpose(op.matmul(stacked, op.constant(kernel), False, False), layers.integers(0, 2, 1, 3))
    y = op.reshape(y, layers.integers(1, -1, shape.hidden), False)
    y = op.add(y, layers.constant(checkpoint.take_stored("deberta.encoder.conv.conv.bias", shape.hidden)[None, None]))
    return layers.activation(config.raw["conv_act"])(y)
