"""GELU as single operations, which OpenVINO does not fuse into the matrix product before it.

OpenVINO runs a float32 product with a fused GELU on another kernel than one without. That kernel keeps one copy of the
matrix for rows of up to 60 tokens and another for longer ones: 47 MB more for DistilBERT, and it is no faster. In
bfloat16 and int8 there is one copy anyway, and a fused GELU is more exact, and 3 % faster in int8
(decision 18).
"""

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as op


def unfuse_gelu(graph: ov.Model) -> None:
    """Replaces each exact GELU of the graph by x * (erf(x / sqrt(2)) / 2 + 1 / 2); those with tanh stay."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "Gelu" and node.get_attributes()["approximation_mode"] == "ERF":
            x, outputs = node.input_value(0), node.output(0).get_target_inputs()
            steps = _gelu(x)
            for target in outputs:
                target.replace_source_output(steps.output(0))


def _gelu(x: ov.Output) -> Node:
    half, minus_half = op.constant(np.float32(0.5)), op.constant(np.float32(-0.5))
    error = op.erf(op.multiply(x, op.constant(np.float32(0.5**0.5))))
    # NOTE: OpenVINO recognises the form with a sum as GELU, and would fuse it
    return op.multiply(x, op.subtract(op.multiply(error, half), minus_half))
