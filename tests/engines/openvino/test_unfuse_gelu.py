"""GELU in float32: as exact as torch's, and never part of a product (passes/unfuse_gelu.py)."""

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import PartialShape, Type
from openvino import opset13 as op

from labeld.engines.openvino.passes.unfuse_gelu import unfuse_gelu

WIDTH = 128


def product(mode: str) -> ov.Model:
    """GELU of a matrix times an input [1, tokens, WIDTH]."""
    x = op.parameter(PartialShape([1, -1, WIDTH]), Type.f32)
    matrix = op.constant(np.eye(WIDTH, dtype=np.float32))
    return ov.Model([op.result(op.gelu(op.matmul(x, matrix, False, True), mode))], [x], "product")


def compiled(graph: ov.Model) -> ov.CompiledModel:
    """The graph as the engine computes it in float32."""
    return ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def fused(model: ov.CompiledModel) -> list[str]:
    """Names of the layers that are fused into the products of a compiled graph, the products included."""
    nodes = [node.get_rt_info() for node in model.get_runtime_model().get_ops()]
    products = [one for one in nodes if one["layerType"].astype(str) == "FullyConnected"]
    names = [one["originalLayersNames"].astype(str) for one in products]
    return [name for line in names for name in line.split(",")]


@pytest.mark.parametrize("mode", ["erf", "tanh"])
def test_exact(mode):
    """It differs from torch's GELU by two roundings at most, from minus ten to ten."""
    graph = product(mode)
    unfuse_gelu(graph)
    values = np.linspace(-10, 10, 100 * WIDTH, dtype=np.float32).reshape(1, -1, WIDTH)

    found = compiled(graph)(values)[0]

    expected = torch.nn.functional.gelu(torch.from_numpy(values), approximate="tanh" if mode == "tanh" else "none")
    assert np.abs(found - expected.numpy()).max() < 2e-6


def test_apart():
    """OpenVINO fuses nothing into the product, as it does with a GELU of its own."""
    apart, whole = product("erf"), product("erf")
    unfuse_gelu(apart)

    assert len(fused(compiled(apart))) < len(fused(compiled(whole)))
