"""DeBERTa-v2 and v3 classifiers (model_type deberta-v2) as packed graphs.

The reference is transformers' DebertaV2ForSequenceClassification. Its attention ("disentangled", arXiv 2006.03654) adds
to the score of a query and a key what each of them makes of their distance (`graphs/distances.py`).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from openvino import Node, PartialShape, Type
from openvino import opset13 as op

from labeld.checkpoint import Checkpoint
from labeld.errors import FolderError
from labeld.graphs import blocks
from labeld.graphs.distances import Distances
from labeld.graphs.stretches import STRETCHES, Stretch, divide, part, stretches
from labeld.mapped_file import FloatArray
from labeld.messages import EncodedText
from labeld.model_config import ModelConfig

OF_HEADS = 2
"""The axis of the tokens in [1, heads, T, size], and of a table's rows."""


def build_deberta(config: ModelConfig, checkpoint: Checkpoint) -> blocks.PackedGraph:
    """The packed graph of a DeBERTa-v2 classifier; raises FolderError for a variant that cannot be computed exactly."""
    shape, weights = _Shape.of(config), blocks.Weights(checkpoint)
    row = _Row(shape)
    attention = _Attention(row, shape, checkpoint)
    activate = blocks.activation(config.raw.get("hidden_act", "gelu"))
    embedded = x = _embed(row, shape, checkpoint)
    for index in range(shape.layers):
        prefix = f"deberta.encoder.layer.{index}."
        is_last = index == shape.layers - 1
        context = attention.first_tokens(x, prefix) if is_last else attention.all_tokens(x, prefix)
        x = blocks.keep_first_tokens(x, row.starts) if is_last else x
        attended = weights.linear(context, prefix + "attention.output.dense", shape.hidden, shape.hidden)
        x = shape.norm(weights, op.add(attended, x), prefix + "attention.output.LayerNorm")
        inner = activate(weights.linear(x, prefix + "intermediate.dense", shape.hidden, shape.inner))
        inner = weights.linear(inner, prefix + "output.dense", shape.inner, shape.hidden)
        x = shape.norm(weights, op.add(inner, x), prefix + "output.LayerNorm")
        if index == 0 and shape.kernel:
            convolved = _convolve(embedded, row, shape, checkpoint, config)
            convolved = blocks.keep_first_tokens(convolved, row.starts) if is_last else convolved
            x = shape.norm(weights, op.add(x, convolved), "deberta.encoder.conv.LayerNorm")
    x = weights.linear(x, "pooler.dense", shape.hidden, shape.hidden)
    x = blocks.activation(config.raw.get("pooler_hidden_act", "gelu"))(x)
    y = weights.linear(x, "classifier", shape.hidden, len(config.labels))
    return blocks.PackedGraph(blocks.logits(y, list(row.inputs.values())), row.pack, shape.positions or sys.maxsize)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What config.json says, checked."""

    layers: int
    hidden: int
    heads: blocks.Heads
    inner: int
    eps: float
    vocabulary: int
    embedding: int
    positions: int
    """0 = no position table (`position_biased_input` is false)."""
    types: int
    """0 = no token types."""
    kernel: int
    """0 = no convolution."""
    distances: Distances

    @classmethod
    def of(cls, config: ModelConfig) -> "_Shape":
        hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
        if hidden % heads:
            raise FolderError(f"config.json: {heads} attention heads do not divide a width of {hidden}.")
        for name, needed in (("attention_head_size", hidden // heads), ("pooler_hidden_size", hidden)):
            if config.whole(name, needed) != needed:
                raise FolderError(f"config.json: {name} is {config.raw[name]}, but the other sizes need {needed}.")
        kernel = max(config.whole("conv_kernel_size", 0), 0)
        if kernel and kernel % 2 == 0:
            raise FolderError(f"config.json: conv_kernel_size is {kernel}, but only odd sizes keep a text's length.")
        biased = config.flag("position_biased_input", default=True)
        return cls(
            layers=config.integer("num_hidden_layers"),
            hidden=hidden,
            heads=blocks.Heads(heads, hidden // heads),
            inner=config.integer("intermediate_size"),
            eps=config.number("layer_norm_eps", 1e-7),
            vocabulary=config.integer("vocab_size"),
            embedding=config.whole("embedding_size", hidden),
            positions=config.integer("max_position_embeddings") if biased else 0,
            types=max(config.whole("type_vocab_size", 0), 0),
            kernel=kernel,
            distances=Distances.of(config),
        )

    def norm(self, weights: blocks.Weights, x: Node, name: str) -> Node:
        """LayerNorm, the same for all of the model."""
        return weights.norm(x, name, self.hidden, self.eps)


@dataclass(frozen=True, slots=True)
class _Scores:
    """A block [queries, keys] of the scores: some queries of the row, and the keys that they are compared with."""

    stretch: Stretch | None
    """The part of all queries and keys that it is; None = of the queries that there are with all keys."""
    mask: Node
    """float32 [1, 1, queries, keys], 0 within a text."""
    by_query: Node | None
    """int32 [queries, keys], where the score of query and distance lies among those of all queries."""
    by_key: Node | None
    """int32 [queries, keys], where the score of key and distance lies among those of all keys."""


class _Row:
    """The inputs of the graph, how texts are laid out for them, and what follows from them for every layer."""

    def __init__(self, shape: _Shape) -> None:
        self._distances = shape.distances
        self.ids, self.types, self.positions, self._segments, self._rows = (
            blocks.row_input(name) for name in ("ids", "types", "positions", "segments", "rows")
        )
        self.starts = blocks.starts_input()
        self.window = op.parameter(PartialShape([2]), Type.i32)
        bounds = op.parameter(PartialShape([STRETCHES, 4]), Type.i32)
        counted = shape.distances.counted
        nodes = {
            "ids": self.ids,
            "types": self.types if shape.types else None,
            "positions": self.positions if shape.positions else None,
            "window": self.window if counted else None,
            "stretches": bounds,
            "segments": self._segments,
            "rows": self._rows if counted else None,
            "starts": self.starts,
        }
        self.inputs = {name: node for name, node in nodes.items() if node is not None}
        everything = _range(_length(self._segments, 1))
        self.all_tokens = [
            self._scores(stretch.queries(everything, 0), stretch.keys(everything, 0), stretch)
            for stretch in stretches(bounds)
        ]
        self.first_tokens = [self._scores(self.starts, everything, None)]

    def pack(self, texts: Sequence[EncodedText]) -> blocks.Inputs:
        """Texts -> the arrays for `inputs`."""
        (ids, types, segments, starts), lengths = blocks.lay_out(texts)
        tokens = segments.shape[1]
        window, rows = self._distances.rows_in_use(tokens, int(lengths.max()))
        arrays = {
            "ids": ids,
            "types": types,
            "positions": blocks.positions(segments, starts, lengths),
            "window": window,
            "stretches": divide(lengths, tokens),
            "segments": segments,
            "rows": rows[None],
            "starts": starts,
        }
        return [arrays[name] for name in self.inputs]

    def shifted(self, x: Node, reach: int) -> list[Node]:
        """Copies of `x` [1, T, hidden] from `reach` tokens earlier to as many later; 0 where that is another text."""
        around, none = op.constant(np.array([0, reach, 0])), np.array([0, reach])
        padded = op.pad(x, around, around, "constant", op.constant(np.float32(0)))
        segments = op.pad(self._segments, none, none, "constant", op.constant(np.int32(-2)))
        copies = []
        for begin in range(2 * reach + 1):
            end = op.add(_length(self._segments, 1), op.constant(np.int32(begin)))
            bounds = op.concat([op.constant(np.array([begin], np.int32)), op.unsqueeze(end, blocks.integers(0))], 0)
            is_same_text = op.equal(part(segments, bounds, 0, 1), self._segments)
            copies.append(
                op.multiply(
                    part(padded, bounds, 0, 1), op.unsqueeze(op.convert(is_same_text, "f32"), blocks.integers(2))
                )
            )
        return copies

    def _scores(self, queries: Node, keys: Node, stretch: Stretch | None) -> _Scores:
        """The block of these token numbers, int32 [n] each."""
        segments = op.squeeze(self._segments, op.constant(blocks.AXIS_0))
        mine, theirs = (op.gather(segments, tokens, op.constant(blocks.AXIS_0)) for tokens in (queries, keys))
        same = op.equal(op.unsqueeze(mine, blocks.integers(1)), op.unsqueeze(theirs, blocks.integers(0)))
        mask = op.select(same, op.constant(np.float32(0)), op.constant(blocks.MASKED))
        mask = op.unsqueeze(mask, blocks.integers(0, 1))
        if not self._distances.counted:
            return _Scores(stretch, mask, None, None)
        # NOTE: texts lie end to end, so tokens of one text are as far apart in the row as they are in the text.
        distance = op.subtract(op.unsqueeze(queries, blocks.integers(1)), op.unsqueeze(keys, blocks.integers(0)))
        nearest = op.subtract(_length(self._segments, 1), op.constant(np.int32(1)))
        rows = op.squeeze(self._rows, op.constant(blocks.AXIS_0))
        row = op.gather(rows, op.add(distance, nearest), op.constant(blocks.AXIS_0))
        size = op.subtract(
            *(op.gather(self.window, op.constant(np.int64(at)), op.constant(blocks.AXIS_0)) for at in (1, 0))
        )
        order = queries if stretch else _range(_length(queries, 0))
        by_query = op.add(row, op.unsqueeze(op.multiply(order, size), blocks.integers(1)))
        by_key = op.add(row, op.unsqueeze(op.multiply(keys, size), blocks.integers(0)))
        return _Scores(stretch, mask, by_query, by_key)


class _Attention:
    """DisentangledSelfAttention, all but its output layer."""

    def __init__(self, row: _Row, shape: _Shape, checkpoint: Checkpoint) -> None:
        self._row, self._shape, self._checkpoint = row, shape, checkpoint
        self._weights = blocks.Weights(checkpoint)
        self._distances = shape.distances
        self._scale = float((shape.heads.size * shape.distances.scale_factor) ** -0.5)
        self._embeddings: FloatArray = np.zeros((0, shape.hidden), np.float32)
        if shape.distances.counted:
            self._embeddings = shape.distances.embeddings(checkpoint, shape.hidden, shape.eps)

    def all_tokens(self, x: Node, prefix: str) -> Node:
        """[1, T, hidden] -> [1, T, hidden]."""
        return self._attend(x, x, self._row.all_tokens, prefix + "attention.self.")

    def first_tokens(self, x: Node, prefix: str) -> Node:
        """[1, T, hidden] -> [1, texts, hidden]."""
        first = blocks.keep_first_tokens(x, self._row.starts)
        return self._attend(first, x, self._row.first_tokens, prefix + "attention.self.")

    def _attend(self, queries_of: Node, x: Node, scores: Sequence[_Scores], prefix: str) -> Node:
        scale = op.constant(np.float32(self._scale))
        query = op.multiply(self._projected(queries_of, prefix + "query_proj"), scale)
        query, key, value = (
            self._shape.heads.split(one)
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
                bias = op.add(op.gather(by_query, block.by_query, op.constant(np.int64(OF_HEADS))), bias)
            if by_key is not None:
                bias = op.add(op.gather(by_key, block.by_key, op.constant(np.int64(OF_HEADS))), bias)
            q, k, v = query, key, value
            if block.stretch:
                q, k, v = block.stretch.queries(q, OF_HEADS), *(block.stretch.keys(one, OF_HEADS) for one in (k, v))
            contexts.append(op.scaled_dot_product_attention(q, k, v, bias, op.constant(np.float32(1))))
        return self._shape.heads.join(op.concat(contexts, OF_HEADS))

    def _projected(self, x: Node, name: str) -> Node:
        return self._weights.linear(x, name, self._shape.hidden, self._shape.hidden)

    def _with_distances(self, x: Node, name: str, scale: float) -> Node:
        """Scores of tokens [1, heads, T, size] with all distances in use, flat: [1, heads, T * rows in use].

        What is projected from the distances depends on no input: it is computed here.
        """
        hidden, heads = self._shape.hidden, self._shape.heads
        weight = self._checkpoint.take(f"{name}.weight", hidden, hidden)
        table = (self._embeddings @ weight.T + self._checkpoint.take(f"{name}.bias", hidden)) * np.float32(scale)
        table = table.reshape(1, -1, heads.count, heads.size).transpose(0, 2, 1, 3)
        in_use = part(op.constant(np.ascontiguousarray(table)), self._row.window, 0, OF_HEADS)
        return op.reshape(op.matmul(x, in_use, False, True), blocks.integers(1, heads.count, -1), False)


def _embed(row: _Row, shape: _Shape, checkpoint: Checkpoint) -> Node:
    """DebertaV2Embeddings: [1, T, hidden]."""
    weights, root = blocks.Weights(checkpoint), "deberta.embeddings."
    x = weights.embed(row.ids, root + "word_embeddings", shape.vocabulary, shape.embedding)
    if shape.positions:
        positions = weights.embed(row.positions, root + "position_embeddings", shape.positions, shape.embedding)
        x = op.add(x, positions)
    if shape.types:
        x = op.add(x, weights.embed(row.types, root + "token_type_embeddings", shape.types, shape.embedding))
    if shape.embedding != shape.hidden:
        projection = checkpoint.take_stored(root + "embed_proj.weight", shape.hidden, shape.embedding)
        x = op.matmul(x, blocks.constant(projection), False, True)
    return shape.norm(weights, x, root + "LayerNorm")


def _convolve(x: Node, row: _Row, shape: _Shape, checkpoint: Checkpoint, config: ModelConfig) -> Node:
    """ConvLayer up to its activation: each text is convolved as if it stood alone between zeros.

    A product of shifted copies, [1, groups, T, kernel * channels of a group], with the kernel.
    """
    groups = config.whole("conv_groups", 1)
    if groups < 1 or shape.hidden % groups:
        raise FolderError(f"config.json: conv_groups is {groups}, but must divide a width of {shape.hidden}.")
    channels = shape.hidden // groups
    copies = [
        op.reshape(one, blocks.integers(1, -1, groups, channels), False) for one in row.shifted(x, shape.kernel // 2)
    ]
    stacked = op.transpose(op.concat(copies, 3), blocks.integers(0, 2, 1, 3))
    kernel = checkpoint.take("deberta.encoder.conv.conv.weight", shape.hidden, channels, shape.kernel)
    kernel = kernel.reshape(groups, channels, channels, shape.kernel).transpose(0, 3, 2, 1)
    kernel = np.ascontiguousarray(kernel).reshape(1, groups, shape.kernel * channels, channels)
    y = op.transpose(op.matmul(stacked, op.constant(kernel), False, False), blocks.integers(0, 2, 1, 3))
    y = op.reshape(y, blocks.integers(1, -1, shape.hidden), False)
    y = op.add(y, blocks.constant(checkpoint.take_stored("deberta.encoder.conv.conv.bias", shape.hidden)[None, None]))
    return blocks.activation(config.raw.get("conv_act", "tanh"))(y)


def _length(x: Node, axis: int) -> Node:
    """The size of an axis, an int32 scalar."""
    return op.gather(op.shape_of(x, "i32"), op.constant(np.int64(axis)), op.constant(blocks.AXIS_0))


def _range(end: Node) -> Node:
    """0, 1, … end - 1 as int32."""
    return op.range(op.constant(np.int32(0)), end, op.constant(np.int32(1)), "i32")
