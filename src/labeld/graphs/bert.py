"""BERT and DistilBERT classifiers as packed graphs.

The references are transformers' BertForSequenceClassification and DistilBertForSequenceClassification.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openvino import Node
from openvino import opset13 as op

from labeld.checkpoint import Checkpoint
from labeld.errors import FolderError
from labeld.graphs import blocks
from labeld.messages import EncodedText
from labeld.model_config import ModelConfig


@dataclass(frozen=True, slots=True)
class Names:
    """Where one family keeps the layers of a transformer block; `{}` is the block's index."""

    root: str
    block: str
    query: str
    key: str
    value: str
    output: str
    attention_norm: str
    up: str
    down: str
    output_norm: str


BERT = Names(
    "bert.embeddings.",
    "bert.encoder.layer.{}.",
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
DISTILBERT = Names(
    "distilbert.embeddings.",
    "distilbert.transformer.layer.{}.",
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)


def build_bert(config: ModelConfig, checkpoint: Checkpoint) -> blocks.PackedGraph:
    """The packed graph of a BERT classifier; raises FolderError for a variant that cannot be computed exactly."""
    if config.raw.get("position_embedding_type", "absolute") != "absolute":
        raise FolderError("config.json: only position_embedding_type absolute is supported for BERT.")
    weights = blocks.Weights(checkpoint)
    hidden = config.integer("hidden_size")
    eps = config.number("layer_norm_eps", 1e-12)
    types, segments, positions, starts = _inputs()
    words, table = weights.words(BERT.root + "word_embeddings", config.integer("vocab_size"), hidden)
    x = op.add(
        words,
        weights.embed(types, BERT.root + "token_type_embeddings", config.integer("type_vocab_size"), hidden),
    )
    rows = config.integer("max_position_embeddings")
    x = op.add(x, weights.embed(positions, BERT.root + "position_embeddings", rows, hidden))
    x = weights.norm(x, BERT.root + "LayerNorm", hidden, eps)
    x = _encoder(x, weights, BERT, _Shape.of_bert(config), (segments, starts))
    x = op.tanh(weights.linear(x, "bert.pooler.dense", hidden, hidden))
    y = weights.linear(x, "classifier", hidden, len(config.labels))
    return blocks.PackedGraph(blocks.logits(y, (words, types, segments, positions, starts)), _pack, rows, table)


def build_distilbert(config: ModelConfig, checkpoint: Checkpoint) -> blocks.PackedGraph:
    """The packed graph of a DistilBERT classifier; it has no token types."""
    weights = blocks.Weights(checkpoint)
    hidden, rows = config.integer("dim"), config.integer("max_position_embeddings")
    _, segments, positions, starts = _inputs()
    words, table = weights.words(DISTILBERT.root + "word_embeddings", config.integer("vocab_size"), hidden)
    x = op.add(words, weights.embed(positions, DISTILBERT.root + "position_embeddings", rows, hidden))
    x = weights.norm(x, DISTILBERT.root + "LayerNorm", hidden, 1e-12)  # a constant in transformers' DistilBERT
    x = _encoder(x, weights, DISTILBERT, _Shape.of_distilbert(config), (segments, starts))
    x = op.relu(weights.linear(x, "pre_classifier", hidden, hidden))
    y = weights.linear(x, "classifier", hidden, len(config.labels))
    return blocks.PackedGraph(
        blocks.logits(y, (words, segments, positions, starts)), lambda texts: _without_types(_pack(texts)), rows, table
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """Sizes of the transformer blocks."""

    layers: int
    hidden: int
    heads: int
    inner: int
    eps: float
    activation: object

    @classmethod
    def of_bert(cls, config: ModelConfig) -> "_Shape":
        return cls(
            config.integer("num_hidden_layers"),
            config.integer("hidden_size"),
            config.integer("num_attention_heads"),
            config.integer("intermediate_size"),
            config.number("layer_norm_eps", 1e-12),
            config.raw.get("hidden_act", "gelu"),
        )

    @classmethod
    def of_distilbert(cls, config: ModelConfig) -> "_Shape":
        return cls(
            config.integer("n_layers"),
            config.integer("dim"),
            config.integer("n_heads"),
            config.integer("hidden_dim"),
            1e-12,
            config.raw.get("activation", "gelu"),
        )


def _inputs() -> tuple[Node, Node, Node, Node]:
    types, segments, positions = (blocks.row_input(name) for name in ("types", "segments", "positions"))
    return types, segments, positions, blocks.starts_input()


def _encoder(x: Node, weights: blocks.Weights, names: Names, shape: _Shape, layout: tuple[Node, Node]) -> Node:
    """All transformer blocks: [1, T, hidden] -> [1, texts, hidden], the first token of each text.

    The last block runs on the first tokens only, since the head reads nothing else.
    """
    if shape.hidden % shape.heads:
        raise FolderError(f"config.json: {shape.heads} attention heads do not divide a width of {shape.hidden}.")
    segments, starts = layout
    heads = blocks.Heads(shape.heads, shape.hidden // shape.heads)
    activate = blocks.activation(shape.activation)
    mask = blocks.block_mask(segments)
    for index in range(shape.layers):
        prefix = names.block.format(index)
        query, key, value = (
            weights.linear(x, prefix + name, shape.hidden, shape.hidden)
            for name in (names.query, names.key, names.value)
        )
        context = heads.attend(query, key, value, mask)
        if index == shape.layers - 1:
            context, x = blocks.keep_first_tokens(context, starts), blocks.keep_first_tokens(x, starts)
        attended = weights.linear(context, prefix + names.output, shape.hidden, shape.hidden)
        x = weights.norm(op.add(x, attended), prefix + names.attention_norm, shape.hidden, shape.eps)
        inner = activate(weights.linear(x, prefix + names.up, shape.hidden, shape.inner))
        inner = weights.linear(inner, prefix + names.down, shape.inner, shape.hidden)
        x = weights.norm(op.add(x, inner), prefix + names.output_norm, shape.hidden, shape.eps)
    return x


def _pack(texts: Sequence[EncodedText]) -> blocks.Inputs:
    (ids, types, segments, starts), lengths = blocks.lay_out(texts)
    return [ids, types, segments, blocks.positions(segments, starts, lengths), starts]


def _without_types(inputs: blocks.Inputs) -> blocks.Inputs:
    return [inputs[0], *inputs[2:]]
