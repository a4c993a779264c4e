"""BART classifiers as packed graphs. The reference is transformers' BartForSequenceClassification.

The encoder reads a text, and the decoder reads it again, one token late, beside the encoder's states. The head reads
the decoder's state of the text's last end token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.openvino import layers
from labeld.errors import FolderError, UnsupportedArchitectureError
from labeld.types import EncodedText

EPS = 1e-5
"""`eps` of every LayerNorm, a constant in transformers' BART."""

FIRST_POSITION = 2
"""Row of the position tables that the first token takes (`BartLearnedPositionalEmbedding.offset`)."""

NO_END = -1
"""In place of an index: the text has no end token."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """The encoder or the decoder: its name, and the sizes of its layers."""

    name: str
    num_layers: int
    heads: layers.Heads
    intermediate: int

    @classmethod
    def of(cls, config: ModelConfig, name: str, hidden: int) -> "_Stack":
        return cls(
            f"model.{name}.",
            config.integer(f"{name}_layers"),
            layers.Heads.of(config.integer(f"{name}_attention_heads"), hidden),
            config.integer(f"{name}_ffn_dim"),
        )


def build_bart(config: ModelConfig, checkpoint: Checkpoint) -> layers.PackedGraph:
    """The packed graph of a BART classifier; raises FolderError for a variant that cannot be computed exactly.

    The logits of a text without an end token are NaN, since transformers has none for it either.
    """
    hidden, rows = config.integer("d_model"), config.integer("max_position_embeddings")
    vocabulary, end = config.integer("vocab_size"), _token(config, "eos_token_id")
    weights = layers.Weights(checkpoint)
    words, table = weights.words(_word_embeddings(config, checkpoint, vocabulary, hidden), vocabulary, hidden)
    start = layers.constant(table[_token(config, "decoder_start_token_id")][None, None])
    sequence_ids, positions = layers.row_input("sequence_ids"), layers.row_input("positions")
    ends = layers.texts_input("ends")
    mask, blocks = layers.block_mask(sequence_ids), _Blocks(config, weights, hidden)

    x = blocks.embed(words, positions, "model.encoder.", rows)
    states = blocks.encode(x, mask)
    y = blocks.embed(one_token_late(words, start, positions), positions, "model.decoder.", rows)
    y = blocks.decode(y, states, mask, positions, ends)
    y = op.tanh(weights.linear(y, "classification_head.dense", hidden, hidden))
    y = weights.linear(y, "classification_head.out_proj", hidden, len(config.labels))
    has_none = op.equal(op.unsqueeze(ends, layers.integers(0, 2)), op.constant(np.int32(NO_END)))
    y = op.select(has_none, op.constant(np.float32(np.nan)), y)

    def pack(texts: Sequence[EncodedText], short_multiple: int) -> layers.Inputs:
        (ids, _, sequence_ids, sequence_starts), lengths = layers.lay_out(texts, short_multiple)
        position_ids = layers.positions(ids, sequence_starts, lengths)
        return [ids, sequence_ids, position_ids, last_ends(ids, sequence_starts, lengths, end)]

    model = layers.logits(y, [words, sequence_ids, positions, ends])
    return layers.PackedGraph(model, pack, rows, table)


class _Blocks:
    """The layers of both stacks, which are post-norm."""

    def __init__(self, config: ModelConfig, weights: layers.Weights, hidden: int) -> None:
        self._weights, self._hidden = weights, hidden
        self._scale = hidden**0.5 if config.flag("scale_embedding") else None
        self._activate = layers.activation(config.raw["activation_function"])
        self._encoder, self._decoder = (_Stack.of(config, name, hidden) for name in ("encoder", "decoder"))

    def embed(self, words: Node, positions: Node, stack: str, rows: int) -> Node:
        """Words and positions, summed and normed: [1, T, hidden]."""
        x = words if self._scale is None else op.multiply(words, op.constant(np.float32(self._scale)))
        row = op.add(positions, op.constant(np.int32(FIRST_POSITION)))
        x = op.add(x, self._weights.embed(row, stack + "embed_positions", rows + FIRST_POSITION, self._hidden))
        return self._norm(x, stack + "layernorm_embedding")

    def encode(self, x: Node, mask: Node) -> Node:
        """All layers of the encoder: [1, T, hidden] -> [1, T, hidden]."""
        stack = self._encoder
        for index in range(stack.num_layers):
            prefix = f"{stack.name}layers.{index}."
            x = self._attend(x, x, stack.heads, prefix + "self_attn", mask)
            x = self._feed_forward(x, prefix, stack.intermediate)
        return x

    def decode(self, x: Node, states: Node, mask: Node, positions: Node, ends: Node) -> Node:
        """All layers of the decoder: [1, T, hidden] -> [1, texts, hidden], the last end token of each text.

        In the last layer only those are queries, since the head reads nothing else.
        """
        stack, causal = self._decoder, not_later(mask, positions)
        for index in range(stack.num_layers):
            prefix, queries = f"{stack.name}layers.{index}.", x
            if index == stack.num_layers - 1:
                queries = op.gather(x, ends, op.constant(layers.AXIS_1))
                mask, causal = (op.gather(one, ends, op.constant(layers.AXIS_2)) for one in (mask, causal))
            x = self._attend(queries, x, stack.heads, prefix + "self_attn", causal)
            x = self._attend(x, states, stack.heads, prefix + "encoder_attn", mask)
            x = self._feed_forward(x, prefix, stack.intermediate)
        return x

    def _attend(self, x: Node, states: Node, heads: layers.Heads, name: str, mask: Node) -> Node:
        """Attention of `x` [1, n, hidden] to `states` [1, T, hidden], added to `x` and normed."""
        hidden, weights = self._hidden, self._weights
        query = weights.linear(x, f"{name}.q_proj", hidden, hidden)
        key, value = (weights.linear(states, f"{name}.{one}_proj", hidden, hidden) for one in "kv")
        attended = weights.linear(heads.attend(query, key, value, mask), f"{name}.out_proj", hidden, hidden)
        return self._norm(op.add(x, attended), f"{name}_layer_norm")

    def _feed_forward(self, x: Node, prefix: str, intermediate: int) -> Node:
        y = self._activate(self._weights.linear(x, prefix + "fc1", self._hidden, intermediate))
        y = self._weights.linear(y, prefix + "fc2", intermediate, self._hidden)
        return self._norm(op.add(x, y), prefix + "final_layer_norm")

    def _norm(self, x: Node, name: str) -> Node:
        return self._weights.norm(x, name, self._hidden, EPS)


def one_token_late(words: Node, start: Node, positions: Node) -> Node:
    """`shift_tokens_right` of transformers, text by text: words [1, T, size], `start` [1, 1, size] before each text."""
    shifted = op.slice(
        op.concat([start, words], 1), layers.integers(0), layers.integers(-1), layers.integers(1), layers.integers(1)
    )
    is_first = op.equal(op.unsqueeze(positions, layers.integers(2)), op.constant(np.int32(0)))
    return op.select(is_first, start, shifted)


def not_later(mask: Node, positions: Node) -> Node:
    """The mask [1, 1, T, T] that also masks keys after their query."""
    of_queries, of_keys = (op.unsqueeze(positions, layers.integers(axis)) for axis in (2, 1))
    seen = op.unsqueeze(op.less_equal(of_keys, of_queries), layers.integers(1))
    return op.select(seen, mask, op.constant(layers.MASKED))


def last_ends(
    ids: layers.PackedSequence, sequence_starts: layers.PackedSequence, lengths: NDArray[np.int64], end: int
) -> layers.PackedSequence:
    """Index in the row of each text's last token `end`, int32 [texts]; NO_END where it has none."""
    found = np.concatenate([[NO_END], np.flatnonzero(ids[0, : lengths.sum()] == end)])
    last = found[np.searchsorted(found, sequence_starts + lengths) - 1]
    return np.where(last < sequence_starts, NO_END, last).astype(np.int32)


def _token(config: ModelConfig, name: str) -> int:
    """A token id of config.json that the model cannot do without."""
    token, vocabulary = config.whole(name), config.integer("vocab_size")
    if not 0 <= token < vocabulary:
        raise FolderError(f"config.json: {name} is {token}, but must be a token id from 0 to {vocabulary - 1}.")
    return token


def _word_embeddings(config: ModelConfig, checkpoint: Checkpoint, rows: int, size: int) -> str:
    """Name of the word embeddings of encoder and decoder, which a file may hold once, or under up to three names.

    As by transformers' `tie_weights`, each stack takes its own where the file has them, else those that are there.
    Raises UnsupportedArchitectureError when the two differ.
    """
    *own, shared = (f"model.{one}.weight" for one in ("encoder.embed_tokens", "decoder.embed_tokens", "shared"))
    there = [name for name in (*own, shared) if name in checkpoint]
    first, *others = (there[:2] or [shared]) if config.flag("tie_word_embeddings") else own
    if not all(checkpoint.unify(first, other, rows, size) for other in others):
        raise UnsupportedArchitectureError("bart whose encoder and decoder have different word embeddings")
    if shared in there:
        checkpoint.unify(first, shared, rows, size)
    return first.removesuffix(".weight")
