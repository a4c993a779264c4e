"""The processor's int8 peak, and the operations that a text takes with DistilBERT."""

import time
from statistics import median
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

SHAPES = ((256, 768, 3072), (512, 3072, 768), (1024, 1024, 1024), (2048, 2048, 2048))
"""Rows, in_features and out_features of the products that are tried: two of DistilBERT's own, and larger ones."""
SCALE = np.float32(0.01)


def int8_peak(threads: int, *, quick: bool = False) -> tuple[float, str]:
    """Operations per second (a product and a sum count as two) of the fastest product of two int8 matrices, and which.

    The fastest of OpenVINO's own: both matrices in 8 bits, nothing else in the graph, so neither the scales of dynamic
    quantisation nor any other layer takes time. Median of 50 runs of each shape, the best shape counts.
    """
    rates = {shape: _rate(shape, threads, 3 if quick else 50) for shape in SHAPES}
    best = max(rates, key=rates.__getitem__)
    return rates[best], "x".join(map(str, best))


def _rate(shape: tuple[int, int, int], threads: int, runs: int) -> float:
    rows, in_features, out_features = shape
    chance = np.random.default_rng(0)
    x = op.parameter([rows, in_features], np.float32)
    least, most = -128 * SCALE, 127 * SCALE
    weights = op.constant(chance.integers(-127, 128, (out_features, in_features)).astype(np.int8))
    matrix = op.multiply(op.convert(weights, "f32"), op.constant(np.full((out_features, 1), SCALE)))
    product = op.matmul(op.fake_quantize(x, least, most, least, most, 256), matrix, False, True)
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    compiled = ov.Core().compile_model(ov.Model([product], [x]), "CPU", options)
    request = compiled.create_infer_request()
    given = chance.standard_normal((rows, in_features), np.float32)
    times = []
    for _ in range(5 + runs):
        began = time.perf_counter()
        request.infer([given], share_inputs=True)
        times.append(time.perf_counter() - began)
    return 2 * rows * in_features * out_features / median(times[5:])


def operations(config: dict[str, Any], tokens: int) -> tuple[float, float]:
    """Operations that one text takes in the products of matrices: those that labeld does, and those of the whole model.

    Each block has 4 matrices of hidden x hidden and 2 of hidden x hidden_dim for every token, and 2 products of
    tokens x tokens x hidden for attention. labeld leaves out what no output depends on: in the last block everything
    after attention for all tokens but the first. `config` is DistilBERT's.
    """
    hidden, hidden_dim, layers = config["dim"], config["hidden_dim"], config["n_layers"]
    attention = 2 * tokens * tokens * hidden
    inputs, rest = 3 * hidden * hidden, hidden * hidden + 2 * hidden * hidden_dim
    block = tokens * (inputs + rest) + attention
    last = tokens * inputs + attention + rest
    return 2.0 * ((layers - 1) * block + last), 2.0 * layers * block
