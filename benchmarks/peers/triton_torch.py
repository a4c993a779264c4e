# /// script
# requires-python = ">=3.11"
# dependencies = ["nvidia-pytriton==0.7.0", "transformers==5.24.0", "torch==2.13.0"]
#
# [tool.compare]
# title = "Triton (PyTriton)"
# stoppable = false
# path = "/v2/models/classifier/infer"
# body = '{"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["TEXT"]}]}'
# pair_body = '{"inputs": [{"name": "text", "shape": [1, 2], "datatype": "BYTES", "data": ["TEXT", "PAIR"]}]}'
#
# [[tool.compare.variants]]
# name = "documented"
# precision = "float32"
# engine = "torch"
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "float32"
# engine = "torch"
# arguments = ["--tuned"]
# ///
"""Triton Inference Server as the wheel of PyTriton brings it, with a function in Python bound to it.

Documented: its example of a Hugging Face pipeline with the batches of the default dynamic batcher. Triton's replies
are tensors; the rankings are the JSON text in one of them. Tuned: torch has the threads it is given, and batches of
up to 32 instead of 4 are sorted and run 8 rows at a time. Where it was tried, the machine was too busy to compare
settings.
"""

import argparse
import json
import os
import signal
import sysconfig
import threading

import numpy as np
import torch

os.environ["PYTRITON_HOME"] = os.environ["COMPARE_CACHE"]
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--tuned", action="store_true")
parser.add_argument("--rows", type=int, default=8)
parser.add_argument("--batch", type=int, default=32)
options = parser.parse_args()


def documented():
    """A pipeline that is given a batch."""
    classifier = pipeline("text-classification", model=options.model, top_k=None)

    def classify(texts):
        asked = [dict(zip(("text", "text_pair"), parts, strict=False)) for parts in texts]
        return classifier(asked, batch_size=len(asked), truncation=True)

    return classify


def tuned():
    """Batches that are sorted and run a few rows at a time, padded to the longest of those."""
    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSequenceClassification.from_pretrained(options.model).eval()
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]

    @torch.inference_mode()
    def classify(texts):
        encoded = [tokenizer(*parts, truncation=True) for parts in texts]
        order = sorted(range(len(texts)), key=lambda at: len(encoded[at]["input_ids"]))
        rankings = [[]] * len(texts)
        for start in range(0, len(order), options.rows):
            rows = order[start : start + options.rows]
            logits = model(**tokenizer.pad([encoded[at] for at in rows], return_tensors="pt")).logits
            scores = logits.sigmoid() if len(labels) == 1 else logits.softmax(-1)
            for at, row in zip(rows, scores.tolist(), strict=True):
                rankings[at] = [{"label": label, "score": score} for label, score in zip(labels, row, strict=True)]
        return rankings

    return classify


classify = tuned() if options.tuned else documented()


@batch
def infer(text):
    rankings = classify([[part.decode() for part in parts] for parts in text])
    return {"ranking": np.array([[json.dumps(ranking).encode()] for ranking in rankings], dtype=np.object_)}


if __name__ == "__main__":
    # Triton's Python backend must find the libpython that this Python is of, not another one of the system
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    config = TritonConfig(
        http_address="127.0.0.1", http_port=options.port, allow_grpc=False, allow_metrics=False, log_verbose=0
    )
    batching = ModelConfig(max_batch_size=options.batch) if options.tuned else ModelConfig(batcher=DynamicBatcher())
    with Triton(config=config) as triton:
        triton.bind(
            model_name="classifier",
            infer_func=infer,
            inputs=[Tensor(name="text", dtype=bytes, shape=(-1,))],
            outputs=[Tensor(name="ranking", dtype=bytes, shape=(1,))],
            config=batching,
        )
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        triton.run()
        ended.wait()
