"""The encoder that BERT, DistilBERT, RoBERTa and ELECTRA have in common: embeddings, then post-norm blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as op

from labeld.checkpoint.config import ModelConfig
from labeld.checkpoint.mapped_file import WeightArray
from labeld.engines.openvino import layers
from labeld.errors import FolderError, UnsupportedArchitectureError
from labeld.types import EncodedText


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one family's layers in the checkpoint; `{}` is the block's index."""

    embeddings: str
    block: str
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    up: str = "intermediate.dense"
    down: str = "output.dense"
    output_norm: str = "output.LayerNorm"

    @classmethod
    def of(cls, base_model: str) -> "Names":
        """BERT's names below another `base_model_prefix` of transformers."""
        return cls(f"{base_model}.embeddings.", f"{base_model}.encoder.layer.{{}}.")


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the transformer blocks."""

    num_layers: int
    hidden: int
    heads: int
    intermediate: int
    eps: float
    activation: object

    @classmethod
    def of(cls, config: ModelConfig) -> "Shape":
        """The sizes by BERT's fields. Raises FolderError, or UnsupportedArchitectureError, naming the wrong field."""
        if config.raw.get("position_embedding_type", "absolute") != "absolute":
            raise FolderError(
                f"config.json: only position_embedding_type absolute is supported for {config.model_type}."
            )
        for key in ("is_decoder", "add_cross_attention"):  # transformers then masks causally
            if config.flag(key):
                raise UnsupportedArchitectureError(f"{config.model_type} with {key}")
        return cls(
            config.integer("num_hidden_layers"),
            config.integer("hidden_size"),
            config.integer("num_attention_heads"),
            config.integer("intermediate_size"),
            config.number("layer_norm_eps"),
            config.raw["hidden_act"],
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """The inputs of a packed graph: `words` [1, T, size], `sequence_starts` [texts], the others [1, T]."""

    words: Node
    table: WeightArray
    """The word embeddings [vocabulary, size]; `words` takes rows of them."""
    types: Node | None
    """Token types; None where the model has at most one."""
    sequence_ids: Node
    positions: Node
    sequence_starts: Node

    @classmethod
    def of(cls, words: tuple[Node, WeightArray], *, types: int) -> "Layout":
        """The inputs for a model with this many token types; `words` as `Weights.words` gives it."""
        typed = layers.row_input("types") if types > 1 else None
        return cls(
            *words,
            typed,
            layers.row_input("sequence_ids"),
            layers.row_input("positions"),
            layers.texts_input("sequence_starts"),
        )

    def finish(
        self,
        logits: Node,
        max_tokens: int,
        positions: Callable[
            [layers.PackedSequence, layers.PackedSequence, NDArray[np.int64]], layers.PackedSequence
        ] = layers.positions,
    ) -> layers.PackedGraph:
        """The packed graph around the head's output, [1, texts, labels]; `positions` as `layers.positions`."""
        inputs = [
            self.words,
            *([] if self.types is None else [self.types]),
            self.sequence_ids,
            self.positions,
            self.sequence_starts,
        ]

        def pack(texts: Sequence[EncodedText], short_multiple: int) -> layers.Inputs:
            (ids, types, sequence_ids, sequence_starts), lengths = layers.lay_out(texts, short_multiple)
            position_ids = positions(ids, sequence_starts, lengths)
            return [ids, *([] if self.types is None else [types]), sequence_ids, position_ids, sequence_starts]

        return layers.PackedGraph(layers.logits(logits, inputs), pack, max_tokens, self.table)


def embed(config: ModelConfig, weights: layers.Weights, names: Names, size: int) -> tuple[Node, Layout]:
    """Embeddings of BERT's form: words, token types and positions, summed in this order and normed: [1, T, size]."""
    root, types = names.embeddings, config.integer("type_vocab_size")
    layout = Layout.of(weights.words(root + "word_embeddings", config.integer("vocab_size"), size), types=types)
    type_ids = layers.integers(0) if layout.types is None else layout.types
    x = op.add(layout.words, weights.embed(type_ids, root + "token_type_embeddings", types, size))
    rows = config.integer("max_position_embeddings")
    x = op.add(x, weights.embed(layout.positions, root + "position_embeddings", rows, size))
    return weights.norm(x, root + "LayerNorm", size, config.number("layer_norm_eps")), layout


def encode(x: Node, weights: layers.Weights, names: Names, shape: Shape, layout: Layout) -> Node:
    """All transformer blocks: [1, T, hidden] -> [1, texts, hidden], the first token of each text.

    In the last block only the first tokens are queries, since the head reads nothing else; all tokens are keys.
    """
    heads = layers.Heads.of(shape.heads, shape.hidden)
    activate = layers.activation(shape.activation)
    mask = layers.block_mask(layout.sequence_ids)
    for index in range(shape.num_layers):
        prefix = names.block.format(index)
        key, value = (weights.linear(x, prefix + name, shape.hidden, shape.hidden) for name in (names.key, names.value))
        if index == shape.num_layers - 1:
            x = layers.keep_first_tokens(x, layout.sequence_starts)
            mask = op.gather(mask, layout.sequence_starts, op.constant(layers.AXIS_2))
        query = weights.linear(x, prefix + names.query, shape.hidden, shape.hidden)
        context = heads.attend(query, key, value, mask)
        attended = weights.linear(context, prefix + names.output, shape.hidden, shape.hidden)
        x = weights.norm(op.add(x, attended), prefix + names.attention_norm, shape.hidden, shape.eps)
        y = activate(weights.linear(x, prefix + names.up, shape.hidden, shape.intermediate))
        y = weights.linear(y, prefix + names.down, shape.intermediate, shape.hidden)
        x = weights.norm(op.add(x, y), prefix + names.output_norm, shape.hidden, shape.eps)
    return x
