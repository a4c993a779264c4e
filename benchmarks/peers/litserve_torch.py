# /// script
# requires-python = ">=3.11"
# dependencies = ["litserve==0.2.19", "transformers==5.24.0", "torch==2.13.0"]
#
# [tool.compare]
# title = "LitServe"
# path = "/predict"
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
# ///
"""LitServe: a class with four methods, batching by the server.

Documented: a pipeline, as in its example of a Hugging Face BERT, with the batches of its guide to batching (8 texts,
10 ms). Tuned: a worker of one thread for each core; a batch of up to 32 is sorted and run 8 rows at a time, without
waiting for more. Seen at 32 connections on a machine busy with other work: 40 requests/s; one worker of two threads
at most 1 (3 per two CPU-seconds), as its threads then wait for each other, but with one connection it answers sooner
(20 requests/s).
"""

import argparse
import signal
from typing import Any

import litserve
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--tuned", action="store_true")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--wait", type=float, default=0.0)
parser.add_argument("--rows", type=int, default=8)
parser.add_argument("--workers", type=int)


class Documented(litserve.LitAPI):
    """A pipeline that is given a batch."""

    def __init__(self, model: str, batch: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=0.01)
        self.folder = model

    def setup(self, device: str) -> None:
        """Loads the model in the process that computes."""
        self.classifier = pipeline("text-classification", model=self.folder, device=device, top_k=None)

    def decode_request(self, request: dict[str, str]) -> dict[str, str]:
        """A text or a pair, as the pipeline takes it."""
        pair = {"text_pair": request["pair"]} if "pair" in request else {}
        return {"text": request["text"], **pair}

    def predict(self, texts: list[dict[str, str]]) -> list[Any]:
        """The rankings of a batch."""
        return self.classifier(texts, batch_size=self.max_batch_size, truncation=True)

    def encode_response(self, ranking: list[dict[str, Any]]) -> dict[str, Any]:
        """The reply."""
        return {"output": ranking}


class Tuned(litserve.LitAPI):
    """Batches whose rows are of similar length."""

    def __init__(self, model: str, threads: int, rows: int, batch: int, wait: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait)
        self.folder, self.threads, self.rows = model, threads, rows

    def setup(self, device: str) -> None:
        """Loads the model in the process that computes."""
        torch.set_num_threads(self.threads)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(self.folder).eval().to(device)
        self.labels = [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    def decode_request(self, request: dict[str, str]) -> tuple[str, str | None]:
        """A text or a pair."""
        return request["text"], request.get("pair")

    @torch.inference_mode()
    def predict(self, texts: list[tuple[str, str | None]]) -> list[list[float]]:
        """The scores of a batch: its texts are sorted and run a few rows at a time, padded to the longest of those."""
        encoded = [self.tokenizer(text, pair, truncation=True) for text, pair in texts]
        order = sorted(range(len(texts)), key=lambda at: len(encoded[at]["input_ids"]))
        scores: list[list[float]] = [[]] * len(texts)
        for start in range(0, len(order), self.rows):
            rows = order[start : start + self.rows]
            padded = self.tokenizer.pad([encoded[at] for at in rows], return_tensors="pt")
            logits = self.model(**padded).logits
            found = logits.sigmoid() if len(self.labels) == 1 else logits.softmax(-1)
            for at, row in zip(rows, found.tolist(), strict=True):
                scores[at] = row
        return scores

    def encode_response(self, scores: list[float]) -> dict[str, Any]:
        """The reply."""
        pairs = zip(self.labels, scores, strict=True)
        return {"output": [{"label": label, "score": score} for label, score in pairs]}


if __name__ == "__main__":
    options = parser.parse_args()
    options.workers = options.workers or options.threads
    if options.tuned:
        server = litserve.LitServer(
            Tuned(options.model, options.threads // options.workers, options.rows, options.batch, options.wait),
            accelerator="cpu",
            workers_per_device=options.workers,
        )
    else:
        server = litserve.LitServer(Documented(options.model, 8), accelerator="cpu")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends its processes on Ctrl-C only
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False)
