# /// script
# requires-python = ">=3.11"
# dependencies = [
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
# title = "ONNX Runtime in process"
# in_process = true
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "int8"
# engine = "onnx"
# ///
"""ONNX Runtime and nothing else: no server, no queue; dynamic int8 by channel.

All texts are known beforehand, so they are sorted by length and run `--rows` at a time. Seen: 36 texts/s in eights,
on a machine busy with other work.
"""

import argparse
import json
import sys
import time

import onnxruntime
from _batches import open_tokenizer, padded, probabilities
from _onnx_files import onnx_files

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--rows", type=int, default=8)
options = parser.parse_args()

folder = onnx_files(options.model)
about = json.loads((folder / "labels.json").read_text())
tokenizer = open_tokenizer(folder)
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = options.threads
session = onnxruntime.InferenceSession(folder / "model-int8.onnx", settings, providers=["CPUExecutionProvider"])
inputs = [one.name for one in session.get_inputs()]


def compute(encodings):
    """The scores of a batch, padded to its longest text."""
    rows = padded(encodings, about["pad"])
    return probabilities(session.run(None, {name: rows[name] for name in inputs})[0])


def classify(texts):
    """The rankings of all texts."""
    encodings = tokenizer.encode_batch(
        [one["text"] if one["pair"] is None else (one["text"], one["pair"]) for one in texts]
    )
    order = sorted(range(len(texts)), key=lambda at: len(encodings[at].ids))
    rankings = [[]] * len(texts)
    for start in range(0, len(order), options.rows):
        chosen = order[start : start + options.rows]
        for at, scores in zip(chosen, compute([encodings[at] for at in chosen]).tolist(), strict=True):
            rankings[at] = [
                {"label": label, "score": score} for label, score in zip(about["labels"], scores, strict=True)
            ]
    return rankings


for line in sys.stdin:
    with open(line.strip(), encoding="utf-8") as file:  # noqa: PTH123
        texts = [json.loads(one) for one in file]
    began = time.perf_counter()
    rankings = classify(texts)
    print(json.dumps({"seconds": time.perf_counter() - began, "rankings": rankings}), flush=True)
