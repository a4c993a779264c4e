# /// script
# requires-python = ">=3.11"
# dependencies = ["ray[serve]==2.60.0", "transformers==5.24.0", "torch==2.13.0"]
#
# [tool.compare]
# title = "Ray Serve"
# path = "/"
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
"""Ray Serve: a deployment whose method is given batches by `@serve.batch`.

Documented: a pipeline in a deployment, as in its tutorials, with the defaults of the decorator (10 requests, 10 ms)
and of the deployment (one replica, one thread). Tuned: a replica of one thread for each core, no line of log for each
request, room for many waiting requests (its default of 5 keeps batches that small), and a batch of up to 32 is sorted
and run 8 rows at a time. Seen at 32 connections on a machine busy with other work: 23 requests/s; with one replica of
two threads none was answered within 4 s.
"""

import argparse
import os
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
import torch
from ray import serve
from starlette.requests import Request
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

Encoded = dict[str, list[int]]


@serve.deployment
class Documented:
    """A pipeline that is given a batch."""

    def __init__(self, model: str) -> None:
        self.classifier = pipeline("text-classification", model=model, top_k=None)

    @serve.batch
    async def classify(self, texts: list[dict[str, str]]) -> list[Any]:
        """The rankings of a batch."""
        return self.classifier(texts, batch_size=len(texts), truncation=True)

    async def __call__(self, request: Request) -> list[dict[str, Any]]:
        """The endpoint."""
        asked = await request.json()
        pair = {"text_pair": asked["pair"]} if "pair" in asked else {}
        return await self.classify({"text": asked["text"], **pair})


@serve.deployment
class Tuned:
    """Batches whose rows are of similar length."""

    def __init__(self, model: str, threads: int, rows: int, batch: int, wait: float) -> None:
        torch.set_num_threads(threads)
        self.rows = rows
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForSequenceClassification.from_pretrained(model).eval()
        self.labels = [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]
        self.classify.set_max_batch_size(batch)
        self.classify.set_batch_wait_timeout_s(wait)

    @serve.batch
    async def classify(self, texts: list[Encoded]) -> list[list[dict[str, Any]]]:
        """The rankings of a batch: it is sorted and run a few rows at a time, padded to the longest of those."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]["input_ids"]))
        rankings: list[list[dict[str, Any]]] = [[]] * len(texts)
        for start in range(0, len(order), self.rows):
            rows = order[start : start + self.rows]
            for at, scores in zip(rows, self.scores([texts[at] for at in rows]), strict=True):
                pairs = zip(self.labels, scores, strict=True)
                rankings[at] = [{"label": label, "score": score} for label, score in pairs]
        return rankings

    @torch.inference_mode()
    def scores(self, rows: list[Encoded]) -> list[list[float]]:
        """The scores of rows that are run together."""
        logits = self.model(**self.tokenizer.pad(rows, return_tensors="pt")).logits
        return (logits.sigmoid() if len(self.labels) == 1 else logits.softmax(-1)).tolist()

    async def __call__(self, request: Request) -> list[dict[str, Any]]:
        """The endpoint."""
        asked = await request.json()
        return await self.classify(dict(self.tokenizer(asked["text"], asked.get("pair"), truncation=True)))


def main() -> None:
    """Runs until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--replicas", type=int)
    options = parser.parse_args()
    options.replicas = options.replicas or options.threads
    ray.init(num_cpus=4, include_dashboard=False, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": options.port})
    if options.tuned:
        threads = options.threads // options.replicas
        deployment = Tuned.options(
            max_ongoing_requests=1024,
            num_replicas=options.replicas,
            ray_actor_options={"num_cpus": threads},
            logging_config={"enable_access_log": False, "log_level": "WARNING"},
        )
        application = deployment.bind(options.model, threads, options.rows, options.batch, options.wait)
    else:
        application = Documented.bind(options.model)
    serve.run(application, blocking=True)


if __name__ == "__main__":
    main()
