"""The CPU engine: OpenVINO on packed graphs that are built from config.json and the weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from labeld import graphs
from labeld.checkpoint import open_checkpoint
from labeld.engines.base import Logits
from labeld.engines.openvino_precision import compile_options, require_in_force
from labeld.graphs.int8 import quantise
from labeld.messages import EncodedText
from labeld.model_config import ModelConfig
from labeld.precision import Precision

WARM_UP_TOKENS = 16
WIDTHS: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "int8": 4}
"""Bytes of a number in the engine's own layout of the weights, but for the matrices in 8 bits."""

MATRIX_WIDTH = 2
"""Bytes of a number of those: one in that layout, and one in the graph, since no file has it."""

RELEASE_EVERY = 16
"""Runs after which the mapped file's pages are given back: embeddings are read from it, and weights for a new shape."""


class OpenVinoEngine:
    """One model's packed graph, compiled in one precision, with one infer request per lane.

    Owns the mapped weights. Raises FolderError naming the file when weights and config do not fit, PrecisionError when
    the precision would not be in force.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # as open_engine
        self,
        folder: Path,
        config: ModelConfig,
        threads: int,
        lanes: int,
        precision: Precision = "float32",
        scratch: Path | None = None,
    ) -> None:
        self._checkpoint = open_checkpoint(folder)
        if scratch and precision != "int8":  # whose matrices are read once
            self._checkpoint.widen_into(scratch)
        self._graph = graphs.build(config, self._checkpoint)
        self._checkpoint.warn_of_unused()
        self.precision: Precision = precision
        self.max_tokens = self._graph.max_tokens
        matrices = quantise(self._graph.model, self._checkpoint.release) if precision == "int8" else []
        inner = [columns for _, columns in matrices]
        in_8_bits = sum(rows * columns for rows, columns in matrices)
        others = self._checkpoint.numbers - self._graph.words.size - in_8_bits
        self.nbytes = WIDTHS[precision] * others + MATRIX_WIDTH * in_8_bits
        compiled = ov.Core().compile_model(
            self._graph.model,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": lanes,
                "ENABLE_CPU_PINNING": False,
                **compile_options(precision, inner),
            },
        )
        require_in_force(precision, compiled, inner)
        self._checkpoint.release()  # NOTE: the warm-up makes more layouts; without this the peak is 20 % higher
        self._requests = [compiled.create_infer_request() for _ in range(lanes)]
        self._runs = 0
        self._warm_up()

    def run(self, texts: Sequence[EncodedText], lane: int) -> Logits:
        """Logits, float32 [texts, labels], of texts packed end to end in one row."""
        request = self._requests[lane]
        inputs = self._graph.inputs(texts)
        request.infer(inputs, share_inputs=True)
        self._runs += 1
        if self._runs % RELEASE_EVERY == 0:
            self._checkpoint.release()
        return request.get_output_tensor().data.copy()  # type: ignore[no-any-return]  # openvino is untyped here

    def close(self) -> None:
        """Drops the compiled model before the weights that it borrows; the file is unmapped with them."""
        del self._requests
        del self._graph
        del self._checkpoint

    def _warm_up(self) -> None:
        """Lets every lane make its own layout of the weights, then gives the mapped file's pages back."""
        zeros = np.zeros(WARM_UP_TOKENS, np.int32)
        for lane in range(len(self._requests)):
            self.run([EncodedText(zeros, zeros)], lane)
        self._checkpoint.release()
