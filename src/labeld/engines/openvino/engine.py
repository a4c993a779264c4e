"""The CPU engine: OpenVINO runs packed graphs, which are built from config.json and the weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from threading import Event, Thread

import numpy as np
import openvino as ov

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.checkpoint.config import ModelConfig
from labeld.engines.base import EngineOptions
from labeld.engines.openvino import architectures
from labeld.engines.openvino.layers import ROW_MULTIPLE, SHORT_ROW_MULTIPLE
from labeld.engines.openvino.passes.int8 import quantise
from labeld.engines.openvino.passes.unfuse_gelu import unfuse_gelu
from labeld.engines.openvino.precision import compile_options, has_bfloat16_tiles, require_in_force
from labeld.literals import Precision
from labeld.types import EncodedText, Logits

WARM_UP_TOKENS = 16
"""Tokens of the text that is run while a model loads."""

WIDTHS: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "int8": 4}
"""Bytes of one number in a compiled model's copy of the weights. The int8 matrices are apart: they take one byte in
each copy, and one in the graph where that has them in memory instead of the spill file."""

RELEASE_SECONDS = 0.01
"""Seconds between two releases of the mapped file's pages while a model is compiled."""

RELEASE_EVERY = 16
"""Batches between two releases of the mapped file's pages, which are read for embeddings and for a new row length."""


class OpenVinoEngine:
    """One model's packed graph, compiled in one precision, with `streams` OpenVINO streams of equally many threads.

    In bfloat16 and int8 it is compiled a second time, with one stream for each thread: concurrent batches then do not
    wait for each other at every layer, which gives more batches per second (decision 15), while an exclusive
    batch still uses all threads. In float32 a second copy of the weights would take too much memory.

    Owns the mapped weights. Raises FolderError naming the file when weights and config do not fit, PrecisionError when
    OpenVINO would compute in another precision.
    """

    pipelined = True

    def __init__(self, folder: Path, config: ModelConfig, options: EngineOptions) -> None:
        threads, streams, precision = options.threads, options.streams, options.precision
        self._checkpoint = open_checkpoint(folder, options.copies)
        if options.spill_folder:
            self._checkpoint.spill_into(options.spill_folder, widens=precision != "int8")  # which reads each only once
        self._graph = architectures.build(config, self._checkpoint)
        self._checkpoint.warn_of_unused()
        self.precision: Precision = precision
        self.max_tokens = self._graph.max_tokens
        # NOTE: int8 needs the same bits at every row length: a difference in the last bit can change an int8 value
        self._short_multiple = ROW_MULTIPLE if precision == "int8" else SHORT_ROW_MULTIPLE
        if precision == "float32":
            unfuse_gelu(self._graph.model)
        matrices = quantise(self._graph.model, self._checkpoint) if precision == "int8" else []
        in_features = [columns for _, columns in matrices]
        in_8_bits = sum(rows * columns for rows, columns in matrices)
        others = self._checkpoint.numel - self._graph.words.size - in_8_bits
        threads_per_stream = threads // streams
        self.max_concurrent_batches = 1 if precision == "float32" else max(1, threads_per_stream)
        copies = 1 if self.max_concurrent_batches == 1 else 2
        of_graph = 0 if self._checkpoint.spills else 1
        self.nbytes = copies * WIDTHS[precision] * others + (copies + of_graph) * in_8_bits
        self._runs = 0
        with self._releasing():
            self._exclusive = self._compile(threads, streams, in_features)
            self._concurrent = (
                self._compile(threads, threads, in_features) if self.max_concurrent_batches > 1 else self._exclusive
            )
            self._warm_up()
        self.prefers_large_batches = precision == "bfloat16" and has_bfloat16_tiles()

    def run(self, texts: Sequence[EncodedText]) -> Logits:
        """Logits, float32 [texts, labels], of texts packed end to end in one row, with all threads of a stream."""
        return self._infer(self._exclusive, texts)

    def run_concurrently(self, texts: Sequence[EncodedText]) -> Logits:
        """Logits as from `run`, computed on one thread where `max_concurrent_batches` is more than 1."""
        return self._infer(self._concurrent, texts)

    def close(self) -> None:
        """Drops the compiled models before the weights that they borrow; that unmaps the file."""
        del self._exclusive, self._concurrent
        del self._graph
        del self._checkpoint

    def _infer(self, requests: LifoQueue[ov.InferRequest], texts: Sequence[EncodedText]) -> Logits:
        """Runs the texts on a free request of this compiled model; OpenVINO picks the stream."""
        inputs = self._graph.inputs(texts, self._short_multiple)
        request = requests.get()
        try:
            request.start_async(inputs, share_inputs=True)  # NOTE: `infer` would make the calling thread a stream
            request.wait()
            logits: Logits = request.get_output_tensor().data.copy()
        finally:
            requests.put(request)
        self._runs += 1
        if self._runs % RELEASE_EVERY == 0:
            self._checkpoint.release()
        return logits

    def _compile(self, threads: int, streams: int, in_features: Sequence[int]) -> LifoQueue[ov.InferRequest]:
        """Compiles the graph for `streams` parallel batches: two infer requests for each, one running, one ready."""
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
    def _releasing(self) -> Iterator[None]:
        """Releases the mapped file's pages repeatedly, so that the peak does not hold them beside their copies."""
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
        """Runs a first batch, at which OpenVINO copies the weights into its own layout."""
        zeros = np.zeros(WARM_UP_TOKENS, np.int32)
        for run in (self.run, self.run_concurrently):
            run([EncodedText(zeros, zeros)])
