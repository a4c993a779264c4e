# /// script
# requires-python = ">=3.11"
# dependencies = ["mosec==0.9.8", "transformers==5.24.0", "torch==2.13.0"]
#
# [tool.compare]
# title = "mosec"
# path = "/inference"
# body = '{"text": "TEXT"}'
# pair_body = '{"text": "TEXT", "pair": "PAIR"}'
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
#
# [[tool.compare.variants]]
# name = "tuned"
# precision = "bfloat16"
# engine = "torch"
# arguments = ["--tuned", "--bfloat16"]
# ///
"""mosec: a server in Rust, with stages of workers in Python and batching by the server.

Documented: its DistilBERT example, two tokenising workers before one that computes batches of up to 32 (waiting 10 ms
for them), here with the attention mask that the example leaves out: without it, an answer changes with the padding.
Tuned: one tokenising worker, 1 ms, a computing worker of one thread for each core, and a batch is sorted and run 8
rows at a time. Seen at 32 connections on a machine busy with other work: 23 requests/s, 19 with one worker of two
threads, 5 documented, because the example pads 32 texts to the longest of them.
"""

import argparse
import os
from typing import Any

import torch
from mosec import Server, Worker
from transformers import AutoModelForSequenceClassification, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--tuned", action="store_true")
parser.add_argument("--bfloat16", action="store_true")
parser.add_argument("--rows", type=int, default=8)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--wait", type=int, default=1)
parser.add_argument("--workers", type=int)
options = parser.parse_args()
options.workers = options.workers or options.threads

Encoded = dict[str, list[int]]


class Preprocess(Worker):
    """JSON to token ids."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.tokenizer = AutoTokenizer.from_pretrained(options.model)

    def forward(self, data: dict[str, str]) -> Encoded:
        """One request."""
        return dict(self.tokenizer(data["text"], data.get("pair"), truncation=True))


class Inference(Worker):
    """Token ids to labels and scores."""

    def __init__(self) -> None:
        if options.tuned:
            torch.set_num_threads(options.threads // options.workers)
        self.tokenizer = AutoTokenizer.from_pretrained(options.model)
        dtype = torch.bfloat16 if options.bfloat16 else torch.float32
        self.model = AutoModelForSequenceClassification.from_pretrained(options.model, dtype=dtype).eval()
        self.labels = [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    def forward(self, data: list[Encoded]) -> list[list[dict[str, Any]]]:
        """One batch: as it came, or sorted and run a few rows at a time, padded to the longest of those."""
        order, size = list(range(len(data))), len(data)
        if options.tuned:
            order.sort(key=lambda at: len(data[at]["input_ids"]))
            size = options.rows
        rankings: list[list[dict[str, Any]]] = [[]] * len(data)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            for at, ranking in zip(rows, self.rankings([data[at] for at in rows]), strict=True):
                rankings[at] = ranking
        return rankings

    @torch.inference_mode()
    def rankings(self, rows: list[Encoded]) -> list[list[dict[str, Any]]]:
        """The rankings of rows that are run together."""
        logits = self.model(**self.tokenizer.pad(rows, return_tensors="pt")).logits.float()
        scores = logits.sigmoid() if len(self.labels) == 1 else logits.softmax(-1)
        return [
            [{"label": label, "score": score} for label, score in zip(self.labels, row, strict=True)]
            for row in scores.tolist()
        ]


if __name__ == "__main__":
    os.environ["MOSEC_ADDRESS"] = "127.0.0.1"
    os.environ["MOSEC_TIMEOUT"] = "60000"  # milliseconds; the default of 3 s refuses most requests of a full queue
    server = Server()
    server.append_worker(Preprocess, num=2 if not options.tuned else 1)
    if options.tuned:
        server.append_worker(Inference, num=options.workers, max_batch_size=options.batch, max_wait_time=options.wait)
    else:
        server.append_worker(Inference, max_batch_size=32, max_wait_time=10)
    server.run()
