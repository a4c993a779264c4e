"""Attention in chunks: parts of the packed row, each of which attends only to the texts that it overlaps.

Most of the [T, T] scores of all tokens with all others would be masked. With DeBERTa's scores (12 heads, 256 tokens,
texts of up to 64) attention in four chunks takes half the time, and more chunks save nothing. The bounds are inputs of
the graph, so that one graph serves all rows; those within a row are multiples of `ROW_MULTIPLE`, so that few shapes
occur.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as op

from labeld.engines.openvino import layers

CHUNKS = 4
"""Chunks of every row; in a short row some are empty."""

MIN_CHUNK_TOKENS = 64
"""Tokens of a chunk that is not empty, at least, unless the row is shorter."""


def divide(lengths: NDArray[np.int64], tokens: int) -> NDArray[np.int32]:
    """Bounds of a row's chunks, int32 [CHUNKS, 4]: begin and end of the queries, begin and end of their texts."""
    used = min(max(tokens // MIN_CHUNK_TOKENS, 1), CHUNKS)
    cuts = np.full(CHUNKS + 1, tokens)
    cuts[:used] = tokens // layers.ROW_MULTIPLE * np.arange(used) // used * layers.ROW_MULTIPLE
    edges = np.array([0, *np.cumsum(lengths), tokens])  # filler counts as one more text
    first = edges[np.searchsorted(edges, cuts[:-1], "right") - 1] // layers.ROW_MULTIPLE * layers.ROW_MULTIPLE
    end = -(-edges[np.searchsorted(edges, cuts[1:], "left")] // layers.ROW_MULTIPLE) * layers.ROW_MULTIPLE
    return np.stack([cuts[:-1], cuts[1:], first, np.minimum(end, tokens)], axis=1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class AttentionChunk:
    """One chunk of the row, as nodes of the graph."""

    bounds: Node
    """int32 [4], a row of `divide`'s result."""

    def queries(self, x: Node, axis: int) -> Node:
        """The slice of `x` for the chunk's queries."""
        return part(x, self.bounds, 0, axis)

    def keys(self, x: Node, axis: int) -> Node:
        """The slice of `x` for the chunk's keys: all tokens of the texts that its queries belong to."""
        return part(x, self.bounds, 2, axis)


def attention_chunks(bounds: Node) -> list[AttentionChunk]:
    """All chunks of the row, from the bounds [CHUNKS, 4]; some may be empty."""
    axis = op.constant(layers.AXIS_0)
    return [AttentionChunk(op.gather(bounds, op.constant(np.int64(index)), axis)) for index in range(CHUNKS)]


def part(x: Node, bounds: Node, index: int, axis: int) -> Node:
    """The slice of `x` from bounds[index] to bounds[index + 1] along an axis."""
    begin, end = (op.gather(bounds, layers.integers(at), op.constant(layers.AXIS_0)) for at in (index, index + 1))
    return op.slice(x, begin, end, op.constant(np.array([1], np.int32)), op.constant(np.array([axis], np.int32)))
