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
"""The strongest thing that a good engineer writes in a day: ONNX Runtime behind a queue, without torch in the server.

Requests wait in a queue; one thread computes what is there, on all cores. `--batch 1`, the default, takes one text at a
time and pads nothing; `--batch N` takes up to N texts of those that wait, the shortest ones first.
"""

import argparse
import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import onnxruntime
import uvicorn
from _batches import open_tokenizer, padded, probabilities
from _onnx_files import onnx_files
from fastapi import FastAPI
from pydantic import BaseModel

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--int8", action="store_true")
parser.add_argument("--batch", type=int, default=1)
options = parser.parse_args()

folder = onnx_files(options.model)
about = json.loads((folder / "labels.json").read_text())
tokenizer = open_tokenizer(folder)
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = options.threads
session = onnxruntime.InferenceSession(
    folder / ("model-int8.onnx" if options.int8 else "model.onnx"), settings, providers=["CPUExecutionProvider"]
)
inputs = [one.name for one in session.get_inputs()]
waiting: list[tuple] = []
arrived = asyncio.Event()
lane = ThreadPoolExecutor(1)


class Question(BaseModel):
    """A request."""

    text: str
    pair: str | None = None


def compute(encodings):
    """The scores of a batch, padded to its longest text."""
    rows = padded(encodings, about["pad"])
    return probabilities(session.run(None, {name: rows[name] for name in inputs})[0])


async def work():
    """Computes what waits, batch by batch."""
    loop = asyncio.get_running_loop()
    while True:
        await arrived.wait()
        if options.batch > 1:
            waiting.sort(key=lambda one: len(one[0].ids))
        batch = waiting[: options.batch]
        del waiting[: options.batch]
        if not waiting:
            arrived.clear()
        try:
            scores = await loop.run_in_executor(lane, compute, [encoding for encoding, _ in batch])
            for (_, answer), row in zip(batch, scores, strict=True):
                if not answer.done():
                    answer.set_result(row)
        except Exception as error:  # noqa: BLE001  # whoever waits has to know
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)


@asynccontextmanager
async def lifespan(_):
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/classify")
async def classify(question: Question):
    encoding = tokenizer.encode(question.text, question.pair)
    answer = asyncio.get_running_loop().create_future()
    waiting.append((encoding, answer))
    arrived.set()
    scores = await answer
    order = np.argsort(-scores)
    return [{"label": about["labels"][index], "score": float(scores[index])} for index in order]


if __name__ == "__main__":
    uvicorn.run(app, port=options.port, access_log=False, log_level="warning")
