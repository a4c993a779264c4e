"""The processor's peak in products of matrices, and the operations that a text takes with a model."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from benchmarks.lib.report import Figure
from benchmarks.lib.synthetic_models import SyntheticModel

SHAPES = ((256, 768, 3072), (512, 3072, 768), (1024, 1024, 1024), (2048, 2048, 2048))
"""Rows, in_features and out_features of the products that are tried: two of DistilBERT's own, and larger ones."""
SCALE = np.float32(0.01)
BATCHES = (128, 256, 512, 1024)
"""Tokens of a batch for which a model's matrices are tried."""
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}

Matrix = NDArray[np.int8]


def int8_peak(threads: int, *, quick: bool = False) -> tuple[float, str]:
    """Operations per second (a product and a sum count as two) of the fastest product of two int8 matrices, and which.

    The fastest of OpenVINO's own: both matrices in 8 bits, nothing else in the graph, so neither the scales of dynamic
    quantisation nor any other layer takes time. Median of 50 runs of each shape, the best shape counts.
    """
    rates = {shape: _rate(shape, threads, 3 if quick else 50) for shape in SHAPES}
    best = max(rates, key=rates.__getitem__)
    return rates[best], "x".join(map(str, best))


def matrices_alone(config: dict[str, Any], threads: int, *, quick: bool = False) -> float:
    """Operations per second of all float32 matrices of a model, one after another and nothing else in the graph.

    Each has weights of its own, as in the model: the same product again and again would find its weights in the cache.
    Median of ten runs with each of `BATCHES` tokens, the best number counts.
    """
    hidden, hidden_dim, layers, decoder_layers = _size(config)
    chance = np.random.default_rng(0)
    sizes: list[int] = []

    def times(x: Any, in_features: int, out_features: int) -> Any:
        sizes.append(in_features * out_features)
        weights = chance.random((out_features, in_features), np.float32) / np.float32(in_features)
        return op.matmul(x, op.constant(weights), False, True)

    tokens = x = op.parameter([-1, hidden], np.float32)
    for block in range(layers):
        for _ in range(2 if block < decoder_layers else 1):
            inputs = [times(x, hidden, hidden) for _ in range(3)]
            x = times(op.add(op.add(inputs[0], inputs[1]), inputs[2]), hidden, hidden)
        x = times(times(x, hidden, hidden_dim), hidden_dim, hidden)
    compiled = ov.Core().compile_model(ov.Model([x], [tokens]), "CPU", {**_options(threads), **FLOAT32})
    request = compiled.create_infer_request()
    runs = 2 if quick else 10
    return max(
        2 * rows * sum(sizes) / _seconds(request, chance.random((rows, hidden), np.float32), 2, runs)
        for rows in BATCHES
    )


def products_alone(
    figure: str, model: SyntheticModel, seconds: float, lengths: Sequence[int], peaks: Sequence[float]
) -> Figure:
    """What a peer's seconds for texts of these lengths are, of those that the products of matrices take at the peak."""
    least = sum(operations(model.config, tokens)[0] for tokens in lengths) / max(peaks)
    detail = {"gflops": max(peaks) / 1e9, "texts": len(lengths), "tokens": sum(lengths), "least_s": least}
    shown = f"{model.name}, the same of its matrices alone, at the rate at which they ran here one after another"
    return Figure(figure, shown, seconds / least, "x", detail=detail)


def _int8_product(x: Any, integers: Matrix) -> Any:
    least, most = -128 * SCALE, 127 * SCALE
    scales = op.constant(np.full((len(integers), 1), SCALE))
    matrix = op.multiply(op.convert(op.constant(integers), "f32"), scales)
    return op.matmul(op.fake_quantize(x, least, most, least, most, 256), matrix, False, True)


def _rate(shape: tuple[int, int, int], threads: int, runs: int) -> float:
    rows, in_features, out_features = shape
    chance = np.random.default_rng(0)
    x = op.parameter([rows, in_features], np.float32)
    integers = chance.integers(-127, 128, (out_features, in_features)).astype(np.int8)
    compiled = ov.Core().compile_model(ov.Model([_int8_product(x, integers)], [x]), "CPU", _options(threads))
    given = chance.standard_normal((rows, in_features), np.float32)
    return 2 * rows * in_features * out_features / _seconds(compiled.create_infer_request(), given, 5, runs)


def _options(threads: int) -> dict[str, Any]:
    return {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}


def _seconds(request: Any, given: NDArray[np.float32], first: int, runs: int) -> float:
    """Median of so many runs, after the first few."""
    times = []
    for _ in range(first + runs):
        began = time.perf_counter()
        request.infer([given], share_inputs=True)
        times.append(time.perf_counter() - began)
    return median(times[first:])


def operations(config: dict[str, Any], tokens: int) -> tuple[float, float]:
    """Operations that one text takes in the products of matrices: those that labeld does, and those of the whole model.

    Each block has 4 matrices of hidden x hidden and 2 of hidden x hidden_dim for every token, and 2 products of
    tokens x tokens x hidden for attention. labeld leaves out what no output depends on: in the last block everything
    after attention for all tokens but the first. A decoder's blocks attend a second time, with 4 more such matrices.
    What else a model has, such as DeBERTa's distances, is not counted.
    """
    hidden, hidden_dim, layers, decoder_layers = _size(config)
    attention = 2 * tokens * tokens * hidden
    inputs, rest = 3 * hidden * hidden, hidden * hidden + 2 * hidden * hidden_dim
    block = tokens * (inputs + rest) + attention
    last = tokens * inputs + attention + rest
    second = tokens * 4 * hidden * hidden + attention
    last_second = tokens * 2 * hidden * hidden if decoder_layers else 0
    done = (layers - 1) * block + last + max(0, decoder_layers - 1) * second + last_second
    return 2.0 * done, 2.0 * (layers * block + decoder_layers * second)


def _size(config: dict[str, Any]) -> tuple[int, int, int, int]:
    """Hidden size, neurons, blocks, and how many of them are a decoder's, by the names of each kind of model."""
    if "dim" in config:
        return config["dim"], config["hidden_dim"], config["n_layers"], 0
    if "d_model" in config:
        blocks = config["encoder_layers"] + config["decoder_layers"]
        return config["d_model"], config["encoder_ffn_dim"], blocks, config["decoder_layers"]
    return config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"], 0
