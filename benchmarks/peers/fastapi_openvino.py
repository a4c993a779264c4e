# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "fastapi==0.165.0",
#   "uvicorn[standard]==0.54.0",
#   "openvino==2026.4.1",
#   "nncf==3.4.0",
#   "tokenizers",
#   "numpy",
#   "onnx==1.23.2",
#   "onnxscript==0.7.2",
#   "transformers>=5.23,<6",
#   "torch==2.13.0",
# ]
#
# [tool.compare]
# title = "FastAPI + OpenVINO"
# path = "/classify"
# body = '{"text": "TEXT"}'
# pair_body = '{"text": "TEXT", "pair": "PAIR"}'
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "openvino"
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "bfloat16"
# engine = "openvino"
# arguments = ["--precision", "bfloat16"]
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "int8"
# engine = "openvino"
# arguments = ["--precision", "int8"]
# ///
"""OpenVINO behind a queue, without torch in the server: the most that a good engineer builds in a day.

Requests wait in a queue; one task a stream takes what is there. `--batch 1`, the default, takes one text at a time
and pads nothing; `--batch N` takes up to N of those that wait, the shortest ones first, padded to the longest of
them. `--streams N`, the default as many as there are threads, runs N at a time, each on its part of the cores. int8:
the weights in 8 bits by nncf, the activations by OpenVINO's dynamic quantisation as they come, float32 elsewhere.

Tried with 32 connections (2 cores, a machine busy with other work, so requests per two CPU-seconds): float32 48 with
one stream of two threads, 48 in sorted batches of 8 (and some requests starved: p99 3.1 s), 59 with two streams of
one; int8 116 and 165. With one connection one stream of two threads answers sooner: int8 90 requests/s beside 59.
"""

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from _batches import padded, probabilities
from _batching_server import serve
from _onnx_files import onnx_files

sys.modules["openvino_telemetry"] = None  # it reports its use to a host elsewhere
import openvino

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--precision", choices=["float32", "bfloat16", "int8"], default="float32")
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--streams", type=int)
options = parser.parse_args()
options.streams = options.streams or options.threads

COMPRESS = """
import sys, nncf, openvino
model = nncf.compress_weights(openvino.Core().read_model(sys.argv[1]), mode=nncf.CompressWeightsMode.INT8_SYM)
openvino.save_model(model, sys.argv[2], compress_to_fp16=False)
"""


def model_file(folder: Path) -> Path:
    """The model in this precision; compressed in a process of its own, so that nncf is not in the server's memory."""
    if options.precision != "int8":
        return folder / "model.onnx"
    compressed = folder / "model-int8.xml"
    if not compressed.exists():
        subprocess.run([sys.executable, "-c", COMPRESS, folder / "model.onnx", compressed], check=True)
    return compressed


folder = onnx_files(options.model)
about = json.loads((folder / "labels.json").read_text())
hidden = json.loads(Path(options.model, "config.json").read_text())
settings = {
    "INFERENCE_NUM_THREADS": options.threads,
    "NUM_STREAMS": options.streams,
    "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bfloat16" else "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": hidden.get("hidden_size", hidden.get("dim", 0)),
}
if options.precision != "int8":
    del settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"]
compiled = openvino.Core().compile_model(model_file(folder), "CPU", settings)
inputs = [one.any_name for one in compiled.inputs]
requests = [compiled.create_infer_request() for _ in range(options.streams)]


def compute(request, encodings):
    """The scores of a batch, padded to its longest text."""
    rows = padded(encodings, about["pad"])
    return probabilities(request.infer({name: rows[name] for name in inputs}, share_inputs=True)[0])


if __name__ == "__main__":
    serve(folder, about["labels"], [partial(compute, request) for request in requests], options.batch, options.port)
