"""Attention in stretches: parts of the packed row, each of which looks only at the texts that it has a share in.

Scores of all tokens with all others, T x T, would mostly be masked. Measured with DeBERTa's scores (12 heads, 256
tokens, texts of up to 64) attention takes half the time in four stretches, and more of them save nothing. The bounds
are data, so that one graph serves all rows; those within a row are multiples of `ROW_MULTIPLE`, so that few shapes
occur.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as op

from labeld.engines.openvino import layers

STRETCHES = 4
LEAST_TOKENS = 64
"""Tokens of a stretch, at least: a short row has fewer of them, and the others are empty."""


def divide(lengths: NDArray[np.int64], tokens: int) -> NDArray[np.int32]:
    """Bounds of the stretches of a row, int32 [STRETCHES, 4]: of its queries, and of all texts they belong to."""
    used = min(max(tokens // LEAST_TOKENS, 1), STRETCHES)
    cuts = np.full(STRETCHES + 1, tokens)
    cuts[:used] = tokens // layers.ROW_MULTIPLE * np.arange(used) // used * layers.ROW_MULTIPLE
    edges = np.array([0, *np.cumsum(lengths), tokens])  # the filler at the end is like one more text
    first = edges[np.searchsorted(edges, cuts[:-1], "right") - 1] // layers.ROW_MULTIPLE * layers.ROW_MULTIPLE
    end = -(-edges[np.searchsorted(edges, cuts[1:], "left")] // layers.ROW_MULTIPLE) * layers.ROW_MULTIPLE
    return np.stack([cuts[:-1], cuts[1:], first, np.minimum(end, tokens)], axis=1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of the row, as nodes."""

    bounds: Node
    """int32 [4], a row of what `divide` gives."""

    def queries(self, x: Node, axis: int) -> Node:
        """The part of `x` that belongs to the queries."""
        return part(x, self.bounds, 0, axis)

    def keys(self, x: Node, axis: int) -> Node:
        """The part of `x` that belongs to the keys."""
        return part(x, self.bounds, 2, axis)


def stretches(bounds: Node) -> list[Stretch]:
    """All stretches of the row; some may be empty."""
    axis = op.constant(layers.AXIS_0)
    return [Stretch(op.gather(bounds, op.constant(np.int64(index)), axis)) for index in range(STRETCHES)]


def part(x: Node, bounds: Node, index: int, axis: int) -> Node:
    """`x` from bounds[index] to bounds[index + 1] along an axis."""
    begin, end = (op.gather(bounds, layers.integers(at), op.constant(layers.AXIS_0)) for at in (index, index + 1))
    return op.slice(x, begin, end, op.constant(np.array([1], np.int32)), op.constant(np.array([axis], np.int32)))
