"""Compile options of each precision, and checks that OpenVINO really computes in it: it falls back silently."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import PartialShape, Type
from openvino import opset13 as op

from labeld.errors import PrecisionError
from labeld.literals import Precision

GROUPS = (128, 64, 32, 16)
"""Sizes of a group of activations that share a scale, best first: larger groups are a little faster, but change twice
as many labels (decision 2)."""

TRIAL_ROWS = 16
"""Rows of the matrices on which quantisation, which depends on `in_features` only, and tiles are tried."""

TRIAL_WIDTH = 64
"""Width of the matrix with which tiles are tried."""

Options = dict[str, str | int]
"""Properties of OpenVINO's CPU plugin, by name."""


def has_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def has_bfloat16_tiles() -> bool:
    """Whether OpenVINO multiplies matrices in this processor's tiles for bfloat16 (AMX).

    A product is computed, because the kernel is chosen then, and another stream's graph may be the one that is shown.
    """
    x = op.parameter(PartialShape([1, TRIAL_ROWS, TRIAL_WIDTH]), Type.f32)
    matrix = op.constant(np.ones((TRIAL_WIDTH, TRIAL_WIDTH), np.float32))
    model = ov.Model([op.result(op.matmul(x, matrix, False, True))], [x], "trial")
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": 1})
    compiled([np.ones((1, TRIAL_ROWS, TRIAL_WIDTH), np.float32)])
    return any("_amx_" in _property(node, "primitiveType") for node in _runtime_nodes(compiled))


def compile_options(precision: Precision, in_features: Sequence[int]) -> Options:
    """Options for the CPU plugin. `in_features` has the width of each int8 matrix.

    Raises PrecisionError when this processor has no instructions for the precision.
    """
    if precision == "float32":
        return {"INFERENCE_PRECISION_HINT": "f32"}
    if precision == "bfloat16":
        if not has_bfloat16():
            raise PrecisionError(precision, "this processor has no bfloat16 instructions")
        return {"INFERENCE_PRECISION_HINT": "bf16"}
    if not in_features:
        raise PrecisionError(precision, "the model has no matrix to quantise")
    fitting = (size for size in GROUPS if size <= min(in_features))  # a larger one leaves a matrix in float32
    group = next((size for size in fitting if quantises(frozenset(in_features), size)), None)
    if group is None:
        raise PrecisionError(precision, f"this processor does not quantise activations {min(in_features)} wide")
    return {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": group}


def require_in_force(precision: Precision, compiled: ov.CompiledModel, in_features: Sequence[int]) -> None:
    """Raises PrecisionError when the compiled model computes in another precision."""
    if precision == "bfloat16" and compiled.get_property("INFERENCE_PRECISION_HINT") != Type.bf16:
        raise PrecisionError(precision, "OpenVINO compiled the model in another precision")
    if precision == "int8":
        kinds = [
            (_property(node, "layerType"), _property(node, "runtimePrecision")) for node in _runtime_nodes(compiled)
        ]
        if kinds.count(("FullyConnected", "i8")) != len(in_features):
            raise PrecisionError(precision, "OpenVINO did not keep all matrices in 8 bits")


@cache
def quantises(in_features: frozenset[int], group: int) -> bool:
    """True when matrices of these widths really get int8 activations with this group size.

    No property of a compiled model tells, so a computation does: beside a 1 in its group, 0.0001 is less than half a
    step of int8 and vanishes, while in floating point it changes the result.
    """
    inputs = [op.parameter(PartialShape([1, 1, size]), Type.f32) for size in sorted(in_features)]
    results = []
    for x, size in zip(inputs, sorted(in_features), strict=True):
        weight = op.constant(np.full((TRIAL_ROWS, size), 127, np.int8))
        matrix = op.multiply(op.convert(weight, "f32"), op.constant(np.ones((TRIAL_ROWS, 1), np.float32)))
        results.append(op.result(op.matmul(x, matrix, False, True)))
    options = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": group}
    compiled = ov.Core().compile_model(ov.Model(results, inputs, "trial"), "CPU", options)
    with_trace, without = (compiled([_row(size, trace) for size in sorted(in_features)]) for trace in (1e-4, 0.0))
    return all(np.array_equal(with_trace[output], without[output]) for output in compiled.outputs)


def _row(size: int, trace: float) -> NDArray[np.float32]:
    """Activations, float32 [1, 1, size]: 1, `trace`, and zeros."""
    row = np.zeros((1, 1, size), np.float32)
    row[0, 0, :2] = 1, trace
    return row


def _runtime_nodes(compiled: ov.CompiledModel) -> list[ov.Node]:
    nodes: list[ov.Node] = compiled.get_runtime_model().get_ops()
    return nodes


def _property(node: ov.Node, name: str) -> str:
    """A property of a node of the compiled graph."""
    return str(node.get_rt_info()[name].astype(str))
