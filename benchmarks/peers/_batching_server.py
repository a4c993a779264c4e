"""A FastAPI server whose requests wait in a queue, for the peers that run an exported graph."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count

import numpy as np
import uvicorn
from _batches import open_tokenizer
from fastapi import FastAPI
from pydantic import BaseModel


class Question(BaseModel):
    """A request."""

    text: str
    pair: str | None = None


class BatchingQueue:
    """Texts that wait for one of the functions `computes`, which take encodings to scores, each one batch at a time.

    A batch has at most `size` texts, the shortest of those that wait.
    """

    def __init__(self, computes, size):
        self.size = size
        self.arrivals = count()
        self.waiting = asyncio.PriorityQueue()  # the shortest first, or in order of arrival without batches
        self.threads = ThreadPoolExecutor(len(computes))

    async def scores(self, encoding):
        """The scores of one text."""
        answer = asyncio.get_running_loop().create_future()
        length = len(encoding.ids) if self.size > 1 else 0
        self.waiting.put_nowait((length, next(self.arrivals), encoding, answer))
        return await answer

    async def work(self, compute):
        """Computes the texts that wait, batch by batch."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.waiting.get()]
            while len(batch) < self.size and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            encodings, answers = [one[2] for one in batch], [one[3] for one in batch]
            try:
                scores = await loop.run_in_executor(self.threads, compute, encodings)
                for answer, row in zip(answers, scores, strict=True):
                    if not answer.done():
                        answer.set_result(row)
            except Exception as error:  # noqa: BLE001  # the callers must get it
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(error)


def serve(folder, labels, computes, size, port):
    """Answers POST /classify until SIGTERM; `folder` has the tokenizer.json."""
    tokenizer = open_tokenizer(folder)
    queue = BatchingQueue(computes, size)

    @asynccontextmanager
    async def lifespan(_):
        workers = [asyncio.create_task(queue.work(compute)) for compute in computes]
        yield
        for worker in workers:
            worker.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.post("/classify")
    async def classify(question: Question):
        scores = await queue.scores(tokenizer.encode(question.text, question.pair))
        return [{"label": labels[index], "score": float(scores[index])} for index in np.argsort(-scores)]

    uvicorn.run(app, port=port, access_log=False, log_level="warning")
