# /// script
# requires-python = ">=3.11"
# dependencies = ["fastapi==0.165.0", "uvicorn[standard]", "transformers>=5.23,<6", "torch==2.13.0"]
#
# [tool.compare]
# title = "FastAPI + transformers pipeline"
# path = "/classify"
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
"""A transformers pipeline behind a FastAPI endpoint, as most people write it.

Documented: as the tutorials show it, a plain function, which FastAPI runs in a pool of threads, all of which compute at
once. Tuned: torch has the threads it is given, one text at a time, no gradients.
"""

import argparse
from threading import Lock
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--tuned", action="store_true")
options = parser.parse_args()

app = FastAPI()
classifier = pipeline("text-classification", model=options.model, top_k=None)
one_at_a_time = Lock()


class Question(BaseModel):
    """A request."""

    text: str
    pair: str | None = None


def answer(question: Question) -> list[Any]:
    """The labels with their scores: in a list of their own for a text, not for a pair."""
    if question.pair is None:
        return classifier(question.text, truncation=True)
    return classifier({"text": question.text, "text_pair": question.pair}, truncation=True)


@app.post("/classify")
def classify(question: Question) -> list[Any]:
    """The endpoint."""
    if not options.tuned:
        return answer(question)
    with one_at_a_time, torch.inference_mode():
        return answer(question)


if __name__ == "__main__":
    if options.tuned:
        torch.set_num_threads(options.threads)
    uvicorn.run(app, port=options.port, access_log=not options.tuned, log_level="info")
