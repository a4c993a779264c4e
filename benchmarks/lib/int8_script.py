"""ONNX Runtime in int8 as a tuned script has it: dynamic quantisation, and sorted batches on all cores."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks.lib.padded import padded_batches
from benchmarks.lib.report import Plan
from benchmarks.lib.texts import Measured
from labeld.system.cpu import usable_cores

EXPORT = Path(__file__).parents[1] / "peers/_onnx_files.py"
"""Writes the files of a model, as it does for the servers that labeld is compared with."""


class Int8Script:
    """A model folder as ONNX Runtime reads it, with its weights in 8 bits by channel; needs the extra `bench`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        files = plan.cache / "onnx" / folder.name
        if not (files / "labels.json").exists():
            files.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, str(EXPORT), str(folder), str(files)], check=True, stdout=sys.stderr)
        import onnxruntime  # noqa: PLC0415  # only this suite needs it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        self._session: Any = onnxruntime.InferenceSession(
            files / "model-int8.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._names = {one.name for one in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
        self._tokenizer.no_padding()

    def speed(self, texts: Sequence[Measured], size: int) -> float:
        """Tokens per second, tokenising included, in batches of texts of similar lengths, padded to the longest."""
        began = time.perf_counter()
        for given in padded_batches(self._tokenizer, texts, size):
            self._session.run(None, {name: given[name] for name in self._names})
        return sum(one.tokens for one in texts) / (time.perf_counter() - began)
