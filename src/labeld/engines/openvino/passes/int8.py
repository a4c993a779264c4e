"""Quantisation of a packed graph: the matrices of the transformer blocks become int8 with one scale per output row.

OpenVINO recognises int8 -> float32 -> times scale as compressed weights, and quantises the activations that meet them
in groups of the size that it is compiled with. All else stays float32: embeddings, norms, attention, and the head,
which is small and where an error changes the answer directly.
"""

import re

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset13 as op

from labeld.checkpoint.checkpoint import Checkpoint

BLOCK = re.compile(r"\.\d+\.")
"""Matches the name of a layer that belongs to a transformer block, not to the head."""

LARGEST = np.float32(127)
"""Largest int8 that has a negative counterpart."""


def quantise(graph: ov.Model, checkpoint: Checkpoint) -> list[tuple[int, int]]:
    """Replaces the matrices of all transformer blocks; returns the shape of each, (out_features, in_features).

    The new ones lie in the checkpoint's spill file, if it has one, because OpenVINO keeps what it is given beside its
    own layout. The checkpoint is released after each, when its float values are no longer needed. A product of weights
    only (DeBERTa's relative positions) is left as it is: OpenVINO computes it once, while it compiles.
    """
    shapes = []
    depends_on_input: set[str] = set()
    for node in graph.get_ordered_ops():
        sources = [source.get_node() for source in node.input_values()]
        if node.get_type_name() != "Parameter" and not any(one.get_name() in depends_on_input for one in sources):
            continue
        depends_on_input.add(node.get_name())
        if node.get_type_name() == "MatMul" and BLOCK.search(node.get_friendly_name()):
            weight = _values(sources[1])
            node.input(1).replace_source_output(_compressed(weight, checkpoint).output(0))
            shapes.append((weight.shape[0], weight.shape[1]))
            checkpoint.release()
    return shapes


def _values(weight: Node) -> NDArray[np.float32]:
    """Float32 values of a matrix of the graph: a constant, or a 16-bit constant that the graph widens."""
    constant = weight if weight.get_type_name() == "Constant" else weight.input_value(0).get_node()
    values: NDArray[np.float32] = constant.get_data(dtype=np.float32)
    return values


def _compressed(weight: NDArray[np.float32], checkpoint: Checkpoint) -> Node:
    """The matrix [out_features, in_features] as int8, rounded to nearest, times a float32 scale per row."""
    scale = np.abs(weight).max(1, keepdims=True) / LARGEST
    scale[scale == 0] = 1
    rounded = np.rint(weight / scale).astype(np.int8)
    kept = checkpoint.keep(rounded)
    matrix = op.constant(rounded) if kept is None else op.constant(kept, shared_memory=True)
    return op.multiply(op.convert(matrix, "f32"), op.constant(scale))
