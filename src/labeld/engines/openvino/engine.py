"""The CPU engine: OpenVINO on packed graphs that are built from config.json and the weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from threading import Event, Thread

import numpy as np
import openvino as ov

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.base import Logits
from labeld.engines.openvino import architectures
from labeld.engines.openvino.layers import ROW_MULTIPLE, SHORT_ROW_MULTIPLE
from labeld.engines.openvino.passes.int8 import quantise
from labeld.engines.openvino.passes.unfuse_gelu import unfuse_gelu
from labeld.engines.openvino.precision import compile_options, require_in_force
from labeld.types import EncodedText, Precision

WARM_UP_TOKENS = 16
WIDTHS: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "int8": 4}
"""Bytes of a number in a layout of the weights, but for the matrices in 8 bits: one in each, and one in the graph."""

RELEASE_SECONDS = 0.01
"""Between two times that the mapped file's pages are given back while layouts are made of them."""
RELEASE_EVERY = 16
"""Runs after which the mapped file's pages are given back: embeddings are read from it, and weights for a new shape."""


class OpenVinoEngine:
    """One model's packed graph, compiled in one precision, in as many streams as there are lanes.

    In bfloat16 and int8 it is compiled once more, with a stream for each thread: batches that run side by side do not
    wait for each other at every layer, which serves more (decision 15), while a batch alone still has all
    threads. In float32 the second layout of the weights would take too much memory.

    Owns the mapped weights. Raises FolderError naming the file when weights and config do not fit, PrecisionError when
    the precision would not be in force.
    """

    pipelined = True

    def __init__(  # noqa: PLR0913, PLR0917  # as open_engine
        self,
        folder: Path,
        config: ModelConfig,
        threads: int,
        streams: int,
        precision: Precision = "float32",
        spill_folder: Path | None = None,
    ) -> None:
        self._checkpoint = open_checkpoint(folder)
        if spill_folder and precision != "int8":  # whose matrices are read once
            self._checkpoint.widen_into(spill_folder)
        self._graph = architectures.build(config, self._checkpoint)
        self._checkpoint.warn_of_unused()
        self.precision: Precision = precision
        self.max_tokens = self._graph.max_tokens
        # NOTE: int8 needs the same bits in every row length: a last bit that differs decides which 8 bits come next
        self._short_multiple = ROW_MULTIPLE if precision == "int8" else SHORT_ROW_MULTIPLE
        if precision == "float32":
            unfuse_gelu(self._graph.model)
        matrices = quantise(self._graph.model, self._checkpoint.release) if precision == "int8" else []
        in_features = [columns for _, columns in matrices]
        in_8_bits = sum(rows * columns for rows, columns in matrices)
        others = self._checkpoint.numel - self._graph.words.size - in_8_bits
        threads_per_stream = threads // streams
        self.max_concurrent_batches = 1 if precision == "float32" else max(1, threads_per_stream)
        layouts = 1 if self.max_concurrent_batches == 1 else 2
        self.nbytes = layouts * WIDTHS[precision] * others + (layouts + 1) * in_8_bits
        self._runs = 0
        with self._file_given_back():
            self._together = self._compiled(threads, streams, in_features)
            self._apart = (
                self._compiled(threads, threads, in_features) if self.max_concurrent_batches > 1 else self._together
            )
            self._warm_up()

    def run(self, texts: Sequence[EncodedText], stream: int, *, exclusive: bool = True) -> Logits:
        """Logits, float32 [texts, labels], of texts packed end to end in one row."""
        del stream  # whichever stream is free next takes the batch
        requests = self._together if exclusive else self._apart
        inputs = self._graph.inputs(texts, self._short_multiple)
        request = requests.get()
        try:
            request.start_async(inputs, share_inputs=True)  # NOTE: `infer` would make a stream of the calling thread
            request.wait()
            logits: Logits = request.get_output_tensor().data.copy()
        finally:
            requests.put(request)
        self._runs += 1
        if self._runs % RELEASE_EVERY == 0:
            self._checkpoint.release()
        return logits

    def close(self) -> None:
        """Drops the compiled model before the weights that it borrows; the file is unmapped with them."""
        del self._together, self._apart
        del self._graph
        del self._checkpoint

    def _compiled(self, threads: int, streams: int, in_features: Sequence[int]) -> LifoQueue[ov.InferRequest]:
        """Infer requests of the graph compiled for so many batches at once, and one more for each of them."""
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,
            **compile_options(self.precision, in_features),
        }
        compiled = ov.Core().compile_model(self._graph.model, "CPU", options)
        require_in_force(self.precision, compiled, in_features)
        requests: LifoQueue[ov.InferRequest] = LifoQueue()
        for _ in range(2 * streams):
            requests.put(compiled.create_infer_request())
        return requests

    @contextmanager
    def _file_given_back(self) -> Iterator[None]:
        """Gives the mapped file's pages back again and again meanwhile, or the peak would hold them and the layouts."""
        over = Event()

        def release() -> None:
            while not over.wait(RELEASE_SECONDS):
                self._checkpoint.release()

        thread = Thread(target=release, name="release")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._checkpoint.release()

    def _warm_up(self) -> None:
        """Makes the layouts of the weights that were not made yet."""
        zeros = np.zeros(WARM_UP_TOKENS, np.int32)
        for exclusive in (True, False):
            self.run([EncodedText(zeros, zeros)], 0, exclusive=exclusive)
