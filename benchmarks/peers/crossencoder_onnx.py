# /// script
# requires-python = ">=3.11"
# dependencies = ["sentence-transformers[onnx]==5.7.0", "optimum-onnx==0.1.0", "onnxruntime==1.32.0", "torch==2.13.0"]
#
# [tool.compare]
# title = "sentence-transformers CrossEncoder, ONNX Runtime, in process"
# in_process = true
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "onnx"
# ///
"""CrossEncoder with its ONNX backend: no server. All texts are known, so they are sorted by length.

optimum-onnx, which it needs, has no release for sentence-transformers 6.
"""

import os
from pathlib import Path

import _cross_encoder
import onnxruntime

options, answers = _cross_encoder.options(), _cross_encoder.own_output()
from sentence_transformers import CrossEncoder

session = onnxruntime.SessionOptions()
session.intra_op_num_threads = options.threads
settings = {"provider": "CPUExecutionProvider", "session_options": session}
folder = Path(os.environ["COMPARE_CACHE"], Path(options.model).name)
if not (folder / "complete").exists():
    made = CrossEncoder(options.model, backend="onnx", device="cpu", model_kwargs={**settings, "export": True})
    made.save_pretrained(str(folder))
    (folder / "complete").touch()
encoder = CrossEncoder(str(folder), backend="onnx", device="cpu", max_length=512, model_kwargs=settings)
_cross_encoder.serve(encoder, options.rows, answers)
