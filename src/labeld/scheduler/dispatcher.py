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
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from labeld.config.settings import Compute, Queue
from labeld.engines.base import Engine, Logits
from labeld.errors import DeadlineExceededError, EngineFailedError, LabeldError, OverloadedError, UnavailableError
from labeld.metrics.observer import UNOBSERVED, Observer
from labeld.scheduler import batching
from labeld.scheduler.queue import ModelQueue, QueueEntry, Row
from labeld.types import EncodedText

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class InFlightBatch:
    """A batch that an engine was given, and since when it is its turn, on the monotonic clock."""

    batch: list[QueueEntry]
    began: float


@dataclass(slots=True, eq=False)
class Stream:
    """What drives an engine. Guarded by the dispatcher's lock."""

    number: int
    runs: list[InFlightBatch] = field(default_factory=list)
    """Of one engine, oldest first: as many as it runs at once, and one that begins when one of these ends."""
    queue: ModelQueue | None = None
    """Where they came from."""
    ended: float = 0.0
    """When its last run ended, on the monotonic clock."""


class Dispatcher:
    """Runs the batches of all models on a few lanes. Create and use it on the event loop; `start` before use."""

    def __init__(
        self,
        compute: Compute,
        limits: Queue,
        streams: int,
        observer: Observer = UNOBSERVED,
        max_concurrent_batches: int = 1,
    ) -> None:
        self._compute, self._limits, self._observer = compute, limits, observer
        self._changed = threading.Condition()
        self._queues: list[ModelQueue] = []
        self._closed = False
        self._streams = [Stream(number) for number in range(streams)]
        self._threads = [
            threading.Thread(target=self._feed, args=(stream,), name=f"stream-{stream.number}-{place}", daemon=True)
            for stream in self._streams
            for place in range(max_concurrent_batches + 1)
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
        return any(now - run.began > self._compute.batch_timeout for stream in self._streams for run in stream.runs)

    def close(self, error: LabeldError | None = None) -> None:
        """Refuses new texts. With an error, everybody who waits gets it now, those whose batch runs included."""
        with self._changed:
            self._closed = True
            given_up = [item for stream in self._streams for run in stream.runs for item in run.batch]
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

    def _admit(self, queue: ModelQueue, texts: Sequence[EncodedText]) -> list[QueueEntry]:
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
                busy = [other.service_tokens for other in self._queues if other.waiting]
                queue.service_tokens = max(queue.service_tokens, min(busy, default=queue.service_tokens))
            now = time.monotonic()
            deadline = now + self._limits.queue_timeout + 2 * tokens / rate
            items = [QueueEntry(text, deadline, self._loop.create_future(), now) for text in texts]
            queue.waiting.extend(items)
            queue.waiting_tokens += tokens
            self._changed.notify_all()
        return items

    def _feed(self, stream: Stream) -> None:
        """The life of a lane's thread; until closed and everything that waited is done."""
        while self._run_next(stream):
            pass

    def _run_next(self, stream: Stream) -> bool:
        """Takes a batch, runs it, delivers; False when there will be none. Between two calls it holds no engine."""
        taken = self._take(stream)
        if taken is None:
            return False
        queue, run, exclusive = taken
        batch = run.batch
        rows: Logits | None = None
        try:
            rows = queue.engine.run([item.text for item in batch], stream.number, exclusive=exclusive)
        except Exception:
            logger.exception("The engine failed on a batch of %d texts", len(batch))
        tokens = sum(item.tokens for item in batch)
        with self._changed:
            now = time.monotonic()
            seconds = now - max(run.began, stream.ended)  # NOTE: of the lane's time, or runs at once would count twice
            stream.ended = now
            stream.runs.remove(run)
            if not stream.runs:
                stream.queue = None  # which holds the engine
            elif len(stream.runs) == queue.engine.max_concurrent_batches:
                stream.runs[-1].began = now  # it waited for this
            queue.running -= 1
            queue.measure(tokens, seconds)
            queue.texts += len(batch)
            queue.tokens += tokens
            if self._closed or any(one.waiting for one in self._queues):  # or threads wake only to delay the delivery
                self._changed.notify_all()
        self._observer.batch(tokens, seconds, [run.began - item.enqueued_at for item in batch])
        self._loop.call_soon_threadsafe(_deliver, queue, batch, rows)
        return True

    def _take(self, stream: Stream) -> tuple[ModelQueue, InFlightBatch, bool] | None:
        """The next batch, as soon as there is one, and whether it has the lane for itself; None when there is none."""
        with self._changed:
            while True:
                taken = self._next(stream)
                if taken:
                    return taken
                if self._closed and not any(queue.waiting for queue in self._queues):
                    return None
                self._changed.wait()  # NOTE: without holding an engine, which may be let go meanwhile

    def _next(self, stream: Stream) -> tuple[ModelQueue, InFlightBatch, bool] | None:
        """What `_take` gives, if there is anything now."""
        while busy := [queue for queue in self._queues if queue.waiting]:
            queue = batching.least_served(busy)
            if not self._may_take(stream, queue):
                return None
            batch = self._plan(queue)
            if batch:
                exclusive = not stream.runs and not queue.waiting
                run = InFlightBatch(batch, time.monotonic())
                stream.runs.append(run)
                stream.queue = queue
                queue.running += 1
                return queue, run, exclusive
        return None

    def _may_take(self, stream: Stream, queue: ModelQueue) -> bool:
        """Whether the lane has room: for one more batch of the engine that it runs, or for any if it runs none.

        Behind those that run only a full batch may wait: another one had better wait for more texts.
        """
        if not stream.runs:
            return True
        if stream.queue is not queue or len(stream.runs) > queue.engine.max_concurrent_batches:
            return False
        is_full = queue.waiting_tokens >= self._budget(queue)
        return len(stream.runs) < queue.engine.max_concurrent_batches or (queue.engine.pipelined and is_full)

    def _budget(self, queue: ModelQueue) -> int:
        """Tokens of a batch; half where several run at once: int8 then serves 5 % more (decision 15)."""
        return (
            self._compute.batch_tokens // 2 if queue.engine.max_concurrent_batches > 1 else self._compute.batch_tokens
        )

    def _plan(self, queue: ModelQueue) -> list[QueueEntry]:
        """Takes the planner's batch out of a queue, and drops what it says."""
        now = time.monotonic()
        head = list(islice(queue.waiting, 2 * batching.LOOKAHEAD))
        plan = batching.next_batch(head, self._budget(queue), now)
        gone = {*plan.batch, *plan.dropped}
        for _ in head:
            queue.waiting.popleft()
        queue.waiting.extendleft(item for index, item in reversed(list(enumerate(head))) if index not in gone)
        queue.waiting_tokens -= sum(head[index].tokens for index in gone)
        expired = [head[index] for index in plan.dropped if not head[index].abandoned]
        if expired:
            self._loop.call_soon_threadsafe(_expire, expired, retry_after(queue.waiting_tokens / queue.rate))
        batch = [head[index] for index in plan.batch]
        queue.service_tokens += sum(item.tokens for item in batch)
        return batch


def retry_after(seconds: float) -> float:
    """Whole seconds after which a refused caller may come back, 1 to 30, with jitter so that not all do at once."""
    return float(min(30, max(1, math.ceil(seconds * random.uniform(1.0, 1.5)))))  # noqa: S311  # not for secrets


def _deliver(queue: ModelQueue, batch: list[QueueEntry], rows: Logits | None) -> None:
    """Gives each item its row, or all of them the failure; on the event loop."""
    queue.ended.set()
    for index, item in enumerate(batch):
        if item.future.done():
            continue
        if rows is None:
            item.future.set_exception(EngineFailedError())
        else:
            item.future.set_result(rows[index])


def _expire(items: list[QueueEntry], seconds: float) -> None:
    for item in items:
        if not item.future.done():
            item.future.set_exception(
                DeadlineExceededError(
                    "This text waited longer than its deadline (setting queue_timeout).", seconds, "queue_timeout"
                )
            )
