# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "fastapi==0.165.0",
#   "uvicorn[standard]==0.54.0",
#   "onnxruntime==1.32.0",
#   "tokenizers",
#   "numpy",
#   "onnx==1.23.2",
#   "onnxscript==0.7.2",
#   "transformers>=5.23,<6",
#   "torch==2.13.0",
# ]
#
# [tool.compare]
# title = "FastAPI + ONNX Runtime"
# path = "/classify"
# body = '{"text": "TEXT"}'
# pair_body = '{"text": "TEXT", "pair": "PAIR"}'
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "onnx"
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "int8"
# engine = "onnx"
# arguments = ["--int8"]
# ///
"""ONNX Runtime behind a queue, without torch in the server: the most that a good engineer builds in a day.

Requests wait in a queue; one thread computes what is there, on all cores. `--batch 1`, the default, takes one text at a
time and pads nothing; `--batch N` takes up to N texts of those that wait, the shortest ones first.
"""

import argparse
import json

import onnxruntime
from _batches import padded, probabilities
from _batching_server import serve
from _onnx_files import onnx_files

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--int8", action="store_true")
parser.add_argument("--batch", type=int, default=1)
options = parser.parse_args()

folder = onnx_files(options.model)
about = json.loads((folder / "labels.json").read_text())
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = options.threads
session = onnxruntime.InferenceSession(
    folder / ("model-int8.onnx" if options.int8 else "model.onnx"), settings, providers=["CPUExecutionProvider"]
)
inputs = [one.name for one in session.get_inputs()]


def compute(encodings):
    """The scores of a batch, padded to its longest text."""
    rows = padded(encodings, about["pad"])
    return probabilities(session.run(None, {name: rows[name] for name in inputs})[0])


if __name__ == "__main__":
    serve(folder, about["labels"], [compute], options.batch, options.port)
