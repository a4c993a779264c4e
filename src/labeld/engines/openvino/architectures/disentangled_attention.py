"""DeBERTa's disentangled attention (arXiv 2006.03654) on a packed row.

The score of a query and a key is their product, plus the products of each with the embedding of their distance. Queries
and keys are multiplied with all embeddings in use, and the products for each pair are gathered from the result. The
indices are equal in every layer, so they are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from openvino import Node, PartialShape, Type
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint
from labeld.checkpoint.mapped_file import FloatArray
from labeld.engines.openvino import layers
from labeld.engines.openvino.architectures.relative_positions import Distances
from labeld.engines.openvino.chunked_attention import CHUNKS, AttentionChunk, attention_chunks, divide, part
from labeld.types import EncodedText

TOKEN_AXIS = 2
"""The axis of the tokens in [1, heads, T, size], and of the rows in a table [1, heads, rows, size]."""


@dataclass(frozen=True, slots=True)
class _Scores:
    """Mask and indices for a block [queries, keys] of the attention scores."""

    chunk: AttentionChunk | None
    """Bounds of the block's queries and keys; None for all queries and keys."""
    mask: Node
    """float32 [1, 1, queries, keys]: 0 within a text."""
    by_query: Node | None
    """int32 [queries, keys]: index of the score of query and distance among those of all queries."""
    by_key: Node | None
    """int32 [queries, keys]: index of the score of key and distance among those of all keys."""


class PackedSequence:
    """The inputs of the graph, the packing of texts for them, and the masks and indices that all layers share."""

    def __init__(self, words: Node, distances: Distances, *, has_types: bool, has_positions: bool) -> None:
        self.words, self.distances = words, distances
        self.types, self.positions, self._sequence_ids, self._rows = (
            layers.row_input(name) for name in ("types", "positions", "sequence_ids", "rows")
        )
        self.sequence_starts = layers.texts_input("sequence_starts")
        self.window = op.parameter(PartialShape([2]), Type.i32)
        bounds = op.parameter(PartialShape([CHUNKS, 4]), Type.i32)
        counted = distances.counted
        nodes = {
            "words": self.words,
            "types": self.types if has_types else None,
            "positions": self.positions if has_positions else None,
            "window": self.window if counted else None,
            "attention_chunks": bounds,
            "sequence_ids": self._sequence_ids,
            "rows": self._rows if counted else None,
            "sequence_starts": self.sequence_starts,
        }
        self.inputs = {name: node for name, node in nodes.items() if node is not None}
        everything = _range(_length(self._sequence_ids, 1))
        self.all_tokens = [
            self._scores(chunk.queries(everything, 0), chunk.keys(everything, 0), chunk)
            for chunk in attention_chunks(bounds)
        ]
        self.first_tokens = [self._scores(self.sequence_starts, everything, None)]

    def pack(self, texts: Sequence[EncodedText], short_multiple: int) -> layers.Inputs:
        """Texts and a multiple for short rows -> token ids and the arrays for all but the first of `inputs`."""
        (ids, types, sequence_ids, sequence_starts), lengths = layers.lay_out(texts, short_multiple)
        tokens = sequence_ids.shape[1]
        window, rows = self.distances.rows_in_use(tokens, int(lengths.max()))
        arrays = {
            "words": ids,
            "types": types,
            "positions": layers.positions(ids, sequence_starts, lengths),
            "window": window,
            "attention_chunks": divide(lengths, tokens),
            "sequence_ids": sequence_ids,
            "rows": rows[None],
            "sequence_starts": sequence_starts,
        }
        return [arrays[name] for name in self.inputs]

    def shifted(self, x: Node, reach: int) -> list[Node]:
        """Copies of `x` [1, T, hidden], shifted by -`reach` to `reach` tokens; 0 where that is another text."""
        around, none = op.constant(np.array([0, reach, 0])), np.array([0, reach])
        padded = op.pad(x, around, around, "constant", op.constant(np.float32(0)))
        sequence_ids = op.pad(self._sequence_ids, none, none, "constant", op.constant(np.int32(-2)))
        copies = []
        for begin in range(2 * reach + 1):
            end = op.add(_length(self._sequence_ids, 1), op.constant(np.int32(begin)))
            bounds = op.concat([op.constant(np.array([begin], np.int32)), op.unsqueeze(end, layers.integers(0))], 0)
            is_same_text = op.equal(part(sequence_ids, bounds, 0, 1), self._sequence_ids)
            kept = op.unsqueeze(op.convert(is_same_text, "f32"), layers.integers(2))
            copies.append(op.multiply(part(padded, bounds, 0, 1), kept))
        return copies

    def _scores(self, queries: Node, keys: Node, chunk: AttentionChunk | None) -> _Scores:
        """The block of these queries and keys, token indices, int32 [n] each."""
        sequence_ids = op.squeeze(self._sequence_ids, op.constant(layers.AXIS_0))
        of_queries, of_keys = (
            op.gather(sequence_ids, tokens, op.constant(layers.AXIS_0)) for tokens in (queries, keys)
        )
        same = op.equal(op.unsqueeze(of_queries, layers.integers(1)), op.unsqueeze(of_keys, layers.integers(0)))
        mask = op.select(same, op.constant(np.float32(0)), op.constant(layers.MASKED))
        mask = op.unsqueeze(mask, layers.integers(0, 1))
        if not self.distances.counted:
            return _Scores(chunk, mask, None, None)
        # NOTE: two tokens of one text are as far apart in the row as in the text
        distance = op.subtract(op.unsqueeze(queries, layers.integers(1)), op.unsqueeze(keys, layers.integers(0)))
        nearest = op.subtract(_length(self._sequence_ids, 1), op.constant(np.int32(1)))
        rows = op.squeeze(self._rows, op.constant(layers.AXIS_0))
        row = op.gather(rows, op.add(distance, nearest), op.constant(layers.AXIS_0))
        size = op.subtract(
            *(op.gather(self.window, op.constant(np.int64(at)), op.constant(layers.AXIS_0)) for at in (1, 0))
        )
        order = queries if chunk else _range(_length(queries, 0))
        by_query = op.add(row, op.unsqueeze(op.multiply(order, size), layers.integers(1)))
        by_key = op.add(row, op.unsqueeze(op.multiply(keys, size), layers.integers(0)))
        return _Scores(chunk, mask, by_query, by_key)


class Attention:
    """`DisentangledSelfAttention` of transformers."""

    def __init__(
        self, row: PackedSequence, heads: layers.Heads, weights: layers.Weights, checkpoint: Checkpoint, eps: float
    ) -> None:
        self._row, self._heads, self._weights, self._checkpoint = row, heads, weights, checkpoint
        self._distances = distances = row.distances
        self._hidden = heads.count * heads.size
        self._scale = float((heads.size * distances.scale_factor) ** -0.5)
        self._embeddings: FloatArray = np.zeros((0, self._hidden), np.float32)
        if distances.counted:
            self._embeddings = distances.embeddings(checkpoint, self._hidden, eps)

    def all_tokens(self, x: Node, prefix: str) -> Node:
        """Attention of all tokens, [1, T, hidden] -> [1, T, hidden]."""
        return self._attend(x, x, self._row.all_tokens, prefix + "attention.self.")

    def first_tokens(self, x: Node, prefix: str) -> Node:
        """Attention of each text's first token, [1, T, hidden] -> [1, texts, hidden]."""
        first = layers.keep_first_tokens(x, self._row.sequence_starts)
        return self._attend(first, x, self._row.first_tokens, prefix + "attention.self.")

    def _attend(self, queries_of: Node, x: Node, scores: Sequence[_Scores], prefix: str) -> Node:
        scale = op.constant(np.float32(self._scale))
        query = op.multiply(self._projected(queries_of, prefix + "query_proj"), scale)
        query, key, value = (
            self._heads.split(one)
            for one in (query, self._projected(x, prefix + "key_proj"), self._projected(x, prefix + "value_proj"))
        )
        by_query = by_key = None
        if self._distances.c2p:
            name = prefix + ("key_proj" if self._distances.shared else "pos_key_proj")
            by_query = self._with_distances(query, name, 1)
        if self._distances.p2c:
            name = prefix + ("query_proj" if self._distances.shared else "pos_query_proj")
            by_key = self._with_distances(key, name, self._scale)
        contexts = []
        for block in scores:
            bias = block.mask
            if by_query is not None:
                bias = op.add(op.gather(by_query, block.by_query, op.constant(np.int64(TOKEN_AXIS))), bias)
            if by_key is not None:
                bias = op.add(op.gather(by_key, block.by_key, op.constant(np.int64(TOKEN_AXIS))), bias)
            q, k, v = query, key, value
            if block.chunk:
                q, k, v = block.chunk.queries(q, TOKEN_AXIS), *(block.chunk.keys(one, TOKEN_AXIS) for one in (k, v))
            contexts.append(op.scaled_dot_product_attention(q, k, v, bias, op.constant(np.float32(1))))
        return self._heads.join(op.concat(contexts, TOKEN_AXIS))

    def _projected(self, x: Node, name: str) -> Node:
        return self._weights.linear(x, name, self._hidden, self._hidden)

    def _with_distances(self, x: Node, name: str, scale: float) -> Node:
        """Scores of tokens [1, heads, T, size] with all distances in use, flattened: [1, heads, T * rows in use].

        The projection of the distances depends on no input, so it is computed here, once.
        """
        hidden, heads = self._hidden, self._heads
        weight = self._checkpoint.take(f"{name}.weight", hidden, hidden)
        table = (self._embeddings @ weight.T + self._checkpoint.take(f"{name}.bias", hidden)) * np.float32(scale)
        table = table.reshape(1, -1, heads.count, heads.size).transpose(0, 2, 1, 3)
        in_use = part(op.constant(np.ascontiguousarray(table)), self._row.window, 0, TOKEN_AXIS)
        return op.reshape(op.matmul(x, in_use, False, True), layers.integers(1, heads.count, -1), False)


def _length(x: Node, axis: int) -> Node:
    """The size of an axis, an int32 scalar."""
    return op.gather(op.shape_of(x, "i32"), op.constant(np.int64(axis)), op.constant(layers.AXIS_0))


def _range(end: Node) -> Node:
    """0, 1, … end - 1, int32 [end]."""
    return op.range(op.constant(np.int32(0)), end, op.constant(np.int32(1)), "i32")
