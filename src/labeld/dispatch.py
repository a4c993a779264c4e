"""Waiting callers <-> lanes: the threads, the clock, cancellation and shutdown. Knows no model and no HTTP.

A waiting text owns its future. One lock guards the queues; a lane takes its next batch under it and runs without it.
A caller that leaves is skipped when a batch forms and ignored when it ends; an engine error reaches every caller of
that batch and nobody else, and the lane goes on.
"""

import asyncio
import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from labeld import planner
from labeld.engines.base import Engine
from labeld.errors import DeadlineExceededError, EngineFailedError, LabeldError, OverloadedError, UnavailableError
from labeld.messages import EncodedText
from labeld.metrics import UNOBSERVED, Observer
from labeld.settings import Compute, Queue

logger = logging.getLogger(__name__)

FIRST_GUESS = 2000.0
"""Tokens per second assumed of a model before its first batch."""

MEMORY = 0.95
"""How much of the past the speed estimate keeps at each batch: about the last twenty batches count."""

Row = NDArray[np.float32]
"""Logits of one text, float32 [labels]."""


@dataclass(slots=True, eq=False)
class Item:
    """One text that waits, with the future its caller awaits."""

    text: EncodedText
    deadline: float
    future: asyncio.Future[Row]
    since: float
    """When it came, on the monotonic clock."""

    @property
    def tokens(self) -> int:
        """Tokens of the text."""
        return len(self.text.ids)

    @property
    def abandoned(self) -> bool:
        """True when the caller has left."""
        return self.future.cancelled()


@dataclass(slots=True, eq=False)
class ModelQueue:
    """The texts that wait for one engine, and how fast it has been. Guarded by the dispatcher's lock."""

    engine: Engine
    waiting: deque[Item] = field(default_factory=deque)
    waiting_tokens: int = 0
    running: int = 0
    """Lanes that run the engine now."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set on the event loop whenever a batch has ended."""
    served: float = 0.0
    texts: int = 0
    tokens: int = 0
    """Of the batches that were run, as are the texts."""
    seconds: float = 0.0
    """That these batches took."""
    recent_tokens: float = FIRST_GUESS
    recent_seconds: float = 1.0

    @property
    def rate(self) -> float:
        """Tokens per second of the recent batches."""
        return self.recent_tokens / self.recent_seconds

    def measure(self, tokens: int, seconds: float) -> None:
        """Adds one batch to the speed estimate."""
        self.seconds += seconds
        self.recent_tokens = MEMORY * self.recent_tokens + tokens
        self.recent_seconds = MEMORY * self.recent_seconds + seconds


@dataclass(frozen=True, slots=True)
class Running:
    """What a lane runs, and since when on the monotonic clock."""

    since: float
    batch: list[Item]


class Dispatcher:
    """Runs the batches of all models on a few lanes. Create and use it on the event loop; `start` before use."""

    def __init__(self, compute: Compute, limits: Queue, lanes: int, observer: Observer = UNOBSERVED) -> None:
        self._compute, self._limits, self._observer = compute, limits, observer
        self._changed = threading.Condition()
        self._queues: list[ModelQueue] = []
        self._closed = False
        self._running: list[Running | None] = [None] * lanes
        self._threads = [
            threading.Thread(target=self._lane, args=(lane,), name=f"lane-{lane}", daemon=True) for lane in range(lanes)
        ]

    def start(self) -> None:
        """Starts the lanes."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    def attach(self, engine: Engine) -> ModelQueue:
        """A queue for an engine that was loaded."""
        queue = ModelQueue(engine)
        with self._changed:
            self._queues.append(queue)
        return queue

    async def detach(self, queue: ModelQueue) -> None:
        """Forgets a queue whose callers have all left; returns once no lane runs its engine any more."""
        with self._changed:
            assert all(item.abandoned for item in queue.waiting)
            queue.waiting.clear()
            queue.waiting_tokens = 0
            self._queues.remove(queue)
        while queue.running:
            queue.ended.clear()
            await queue.ended.wait()

    async def run(self, queue: ModelQueue, texts: Sequence[EncodedText]) -> list[Row]:
        """Logits of each text.

        Raises OverloadedError if the queue is full, DeadlineExceededError if a text waited too long,
        EngineFailedError, UnavailableError when stopping. When the caller is cancelled its waiting texts never run.
        """
        items = self._admit(queue, texts)
        try:
            return [await item.future for item in items]
        finally:
            for item in items:
                if not item.future.cancel() and not item.future.cancelled():
                    item.future.exception()  # marks it as seen: only the first failure of a request is raised

    def hung(self) -> bool:
        """Whether some lane's batch has run for longer than `batch_timeout`."""
        now = time.monotonic()
        return any(run is not None and now - run.since > self._compute.batch_timeout for run in self._running)

    def close(self, error: LabeldError | None = None) -> None:
        """Refuses new texts. With an error, everybody who waits gets it now, those whose batch runs included."""
        with self._changed:
            self._closed = True
            given_up = [item for run in self._running if run for item in run.batch]
            if error:
                for queue in self._queues:
                    given_up += queue.waiting
                    queue.waiting.clear()
                    queue.waiting_tokens = 0
            self._changed.notify_all()
        for item in given_up:
            if error and not item.future.done():
                item.future.set_exception(error)

    async def join(self) -> None:
        """After `close`: waits until the lanes have ended."""
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _admit(self, queue: ModelQueue, texts: Sequence[EncodedText]) -> list[Item]:
        """Puts the texts into the queue, all or none."""
        tokens = sum(len(text.ids) for text in texts)
        with self._changed:
            if self._closed:
                raise UnavailableError("This server is stopping: try again in a moment.")
            rate = queue.rate
            # NOTE: an empty queue admits any request that is within the input limits, however long it takes
            if queue.waiting and queue.waiting_tokens + tokens > rate * self._limits.queue_seconds:
                wait = queue.waiting_tokens / rate
                raise OverloadedError(
                    f"The queue of this model is full: {queue.waiting_tokens} tokens wait, {wait:.1f} s of work "
                    f"(setting queue_seconds {self._limits.queue_seconds:g}); try again later.",
                    retry_after(wait),
                    "queue_seconds",
                )
            if not queue.waiting:
                busy = [other.served for other in self._queues if other.waiting]
                queue.served = max(queue.served, min(busy, default=queue.served))
            now = time.monotonic()
            deadline = now + self._limits.queue_timeout + 2 * tokens / rate
            items = [Item(text, deadline, self._loop.create_future(), now) for text in texts]
            queue.waiting.extend(items)
            queue.waiting_tokens += tokens
            self._changed.notify()
        return items

    def _lane(self, lane: int) -> None:
        """The life of a lane; until closed and everything that waited is done."""
        while self._run_next(lane):
            pass

    def _run_next(self, lane: int) -> bool:
        """Takes a batch, runs it, delivers; False when there will be none. Between two calls a lane holds no engine."""
        taken = self._take()
        if taken is None:
            return False
        queue, batch = taken
        began = time.monotonic()
        self._running[lane] = Running(began, batch)
        rows: Sequence[Row] | None = None
        try:
            rows = queue.engine.run([item.text for item in batch], lane)  # type: ignore[assignment]
        except Exception:
            logger.exception("The engine failed on a batch of %d texts", len(batch))
        seconds = time.monotonic() - began
        self._running[lane] = None
        tokens = sum(item.tokens for item in batch)
        with self._changed:
            queue.running -= 1
            queue.measure(tokens, seconds)
            queue.texts += len(batch)
            queue.tokens += tokens
        self._observer.batch(tokens, seconds, [began - item.since for item in batch])
        self._loop.call_soon_threadsafe(_deliver, queue, batch, rows)
        return True

    def _take(self) -> tuple[ModelQueue, list[Item]] | None:
        """The next batch, as soon as there is one; None when closed and nothing waits."""
        with self._changed:
            while True:
                busy = [queue for queue in self._queues if queue.waiting]
                if busy:
                    queue = planner.fairest(busy)
                    batch = self._plan(queue)
                    if batch:
                        queue.running += 1
                        return queue, batch
                elif self._closed:
                    return None
                else:
                    self._changed.wait()

    def _plan(self, queue: ModelQueue) -> list[Item]:
        """Takes the planner's batch out of a queue, and drops what it says."""
        now = time.monotonic()
        head = list(islice(queue.waiting, 2 * planner.REACH))
        plan = planner.next_batch(head, self._compute.batch_tokens, now)
        gone = {*plan.batch, *plan.dropped}
        for _ in head:
            queue.waiting.popleft()
        queue.waiting.extendleft(item for index, item in reversed(list(enumerate(head))) if index not in gone)
        queue.waiting_tokens -= sum(head[index].tokens for index in gone)
        expired = [head[index] for index in plan.dropped if not head[index].abandoned]
        if expired:
            self._loop.call_soon_threadsafe(_expire, expired, retry_after(queue.waiting_tokens / queue.rate))
        batch = [head[index] for index in plan.batch]
        queue.served += sum(item.tokens for item in batch)
        return batch


def retry_after(seconds: float) -> float:
    """Whole seconds after which a refused caller may come back, 1 to 30, with jitter so that not all do at once."""
    return float(min(30, max(1, math.ceil(seconds * random.uniform(1.0, 1.5)))))  # noqa: S311  # not for secrets


def _deliver(queue: ModelQueue, batch: list[Item], rows: Sequence[Row] | None) -> None:
    """Gives each item its row, or all of them the failure; on the event loop."""
    queue.ended.set()
    for index, item in enumerate(batch):
        if item.future.done():
            continue
        if rows is None:
            item.future.set_exception(EngineFailedError())
        else:
            item.future.set_result(rows[index])


def _expire(items: list[Item], seconds: float) -> None:
    for item in items:
        if not item.future.done():
            item.future.set_exception(
                DeadlineExceededError(
                    "This text waited longer than its deadline (setting queue_timeout).", seconds, "queue_timeout"
                )
            )
