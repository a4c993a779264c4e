"""The dispatcher: threads that run batches of waiting texts, the clock, cancellation and shutdown.

It knows neither HTTP nor how models are loaded. A waiting text owns its future. One lock guards the queues; a thread
takes its next batch under the lock and runs it without. A caller who leaves is skipped when a batch forms and ignored
when it ends. An exception of the engine reaches every caller of that batch and no others, and the thread goes on.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import islice, takewhile

from labeld.config.settings import Compute, Queue
from labeld.engines.base import Engine
from labeld.errors import LabeldError, OverloadedError, UnavailableError
from labeld.metrics.observer import UNOBSERVED, Observer
from labeld.scheduler import batching
from labeld.scheduler.queue import BackgroundDroppedError, ModelQueue, QueueEntry, deliver, expire, give_up, retry_after
from labeld.scheduler.stream import InFlightBatch, Stream
from labeld.types import EncodedText, Logits, Timings

logger = logging.getLogger(__name__)

BACKGROUND_SECONDS = 0.5
"""For which a text of a background queue waits while others come."""


class Dispatcher:
    """Runs the batches of all models on a few streams. Belongs to one event loop; `start` it before use."""

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
        self._computed = 0.0
        self._streams = [Stream() for _ in range(streams)]
        self._ended: dict[threading.Thread, Future[None]] = {}
        for number, stream in enumerate(self._streams):
            for index in range(max_concurrent_batches + 1):
                ended: Future[None] = Future()
                name = f"stream-{number}-{index}"
                self._ended[threading.Thread(target=self._feed, args=(stream, ended), name=name, daemon=True)] = ended

    def start(self) -> None:
        """Starts the threads. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in self._ended:
            thread.start()

    def attach(self, engine: Engine, *, background: bool = False) -> ModelQueue:
        """A new queue for an engine, which may have several; what waits in a background one delays no others."""
        queue = ModelQueue(engine, background)
        with self._changed:
            self._queues.append(queue)
        return queue

    async def detach(self, queue: ModelQueue) -> None:
        """Removes a queue whose callers have all left; returns once no batch of it is in flight."""
        with self._changed:
            assert all(entry.abandoned for entry in queue.clear())
            self._queues.remove(queue)
        while queue.running:
            queue.ended.clear()
            await queue.ended.wait()

    async def run(
        self, queue: ModelQueue, texts: Sequence[EncodedText], timings: Timings | None = None, *, apart: bool = False
    ) -> list[Logits]:
        """Logits of each text, in their order. Texts that still wait when the caller is cancelled are never run.

        With `apart` they share no batch with those of other calls, and batches run in the same form however busy the
        streams are: equal texts in equal order have equal logits to the last bit (decision 31). Adds the seconds of
        the text that waited longest, and of the longest batch, to `timings`. Raises OverloadedError when the queue is
        full, DeadlineExceededError when a text waited too long, EngineFailedError when the engine raised,
        UnavailableError when the server is stopping; of a background queue BackgroundDroppedError where others wait
        when it begins, or come all the time.
        """
        entries = self._admit(queue, texts, object() if apart else None)
        try:
            rows = [await entry.future for entry in entries]
            if timings and entries:
                timings.queue += max([entry.queue_seconds for entry in entries])
                timings.inference += max([entry.batch_seconds for entry in entries])
            return rows
        finally:
            for entry in entries:
                if not entry.future.cancel() and not entry.future.cancelled():
                    entry.future.exception()  # retrieved, or asyncio logs it: only the first one is raised

    def check_room(self, queue: ModelQueue) -> None:
        """Raises the OverloadedError that `run` would raise now: a text to be refused need not be tokenised."""
        with self._changed:
            self._refuse_if_full(queue)

    def hung(self) -> bool:
        """True when a batch has been running for longer than `batch_timeout`."""
        now, batches = time.monotonic(), [batch for stream in self._streams for batch in stream.in_flight]
        return any(now - batch.began > self._compute.batch_timeout for batch in batches)

    def load(self) -> tuple[float, float]:
        """Seconds of work in the queue that is fullest, and seconds for which the streams have computed, on average."""
        with self._changed:
            foreground = [queue for queue in self._queues if not queue.background]
            queued = max((queue.waiting_tokens / queue.rate for queue in foreground), default=0.0)
            return queued, self._computed / len(self._streams)

    def close(self, error: LabeldError | None = None) -> None:
        """Refuses new texts. With an error, every caller gets it now, also those whose batch is in flight."""
        with self._changed:
            self._closed = True
            given_up = [entry for stream in self._streams for batch in stream.in_flight for entry in batch.entries]
            if error:
                for queue in self._queues:
                    given_up += queue.clear()
            self._changed.notify_all()
        if error:
            give_up(given_up, error)

    async def join(self) -> None:
        """After `close`: waits until the threads have ended."""
        for thread, ended in self._ended.items():
            await asyncio.wrap_future(ended)  # NOTE: no executor, because none works while the interpreter exits
            thread.join()

    def _admit(self, queue: ModelQueue, texts: Sequence[EncodedText], call: object | None) -> list[QueueEntry]:
        """Puts all texts into the queue, or raises and puts none."""
        tokens = sum(len(text.ids) for text in texts)
        with self._changed:
            if self._closed:
                raise UnavailableError("This server is stopping: try again in a moment.")
            self._make_way(queue)
            self._refuse_if_full(queue)
            if not queue.waiting:
                queue.sharing = 1
                busy = [other.service_tokens for other in self._queues if other.waiting]
                queue.service_tokens = max(queue.service_tokens, min(busy, default=queue.service_tokens))
            now = time.monotonic()
            deadline = queue.deadline(now, tokens, self._limits.queue_timeout)
            entries = [QueueEntry(text, deadline, tokens, self._loop.create_future(), now, call) for text in texts]
            queue.waiting.extend(entries)
            queue.waiting_tokens += tokens
            self._changed.notify_all()
        return entries

    def _refuse_if_full(self, queue: ModelQueue) -> None:
        # NOTE: of what waits before a request, so that one client's thousand texts are taken at once: what waits is at
        # most the limit and one request that is within the input limits
        limit = self._limits.queue_seconds
        if queue.waiting_tokens >= queue.rate * limit:
            wait = queue.waiting_tokens / queue.rate
            raise OverloadedError(
                f"The queue of this model is full: {queue.waiting_tokens} tokens wait, {wait:.1f} s of work "
                f"(setting queue_seconds {limit:g}); try again later.",
                retry_after(wait),
                "queue_seconds",
            )

    def _make_way(self, queue: ModelQueue) -> None:
        """For new texts: drops those that wait too long in background queues.

        Raises BackgroundDroppedError for the first ones of a background queue where others wait.
        """
        dropped = BackgroundDroppedError("Other texts come first.")
        if queue.background and not queue.texts and any(one.waiting for one in self._queues if not one.background):
            raise dropped
        oldest = time.monotonic() - BACKGROUND_SECONDS
        for one in self._queues:
            if one.background and one.waiting and one.waiting[0].enqueued_at < oldest:
                give_up(one.clear(), dropped)

    def _feed(self, stream: Stream, ended: Future[None]) -> None:
        """Runs batches until the dispatcher is closed and nothing waits; the body of a stream's thread."""
        try:
            while self._run_next(stream):
                pass
        finally:
            ended.set_result(None)

    def _run_next(self, stream: Stream) -> bool:
        """Takes a batch, runs and delivers it; False when there will be none. Between calls it holds no engine."""
        taken = self._take(stream)
        if taken is None:
            return False
        queue, batch, exclusive = taken
        entries = batch.entries
        rows: Logits | None = None
        try:
            run_batch = queue.engine.run if exclusive else queue.engine.run_concurrently
            rows = run_batch([entry.text for entry in entries])
        except Exception:
            logger.exception("The engine failed on a batch of %d texts", len(entries))
        tokens = sum(entry.tokens for entry in entries)
        with self._changed:
            now = time.monotonic()
            seconds = now - max(batch.began, stream.ended)  # NOTE: concurrent batches share the stream's time
            stream.ended = now
            self._computed += 0.0 if queue.background else seconds
            stream.in_flight.remove(batch)
            if len(stream.in_flight) == queue.engine.max_concurrent_batches:
                stream.in_flight[-1].began = now  # it waited inside the engine until now
            queue.running -= 1
            queue.measure(tokens, seconds)
            queue.texts += len(entries)
            queue.tokens += tokens
            if self._closed or any(one.waiting for one in self._queues):  # else waking threads would delay the delivery
                self._changed.notify_all()
        for entry in entries:
            entry.queue_seconds, entry.batch_seconds = batch.began - entry.enqueued_at, seconds
        if not queue.background:
            self._observer.batch(tokens, seconds, [entry.queue_seconds for entry in entries])
        self._loop.call_soon_threadsafe(deliver, queue, entries, rows)
        return True

    def _take(self, stream: Stream) -> tuple[ModelQueue, InFlightBatch, bool] | None:
        """Waits for the next batch, and whether it is exclusive; None when there will be none."""
        with self._changed:
            while True:
                taken = self._next(stream)
                if taken:
                    return taken
                if self._closed and not any(queue.waiting for queue in self._queues):
                    return None
                self._changed.wait()  # NOTE: holds no engine meanwhile, so that it can be freed

    def _next(self, stream: Stream) -> tuple[ModelQueue, InFlightBatch, bool] | None:
        """The next batch, and whether it is exclusive (nothing else is in flight or waits); None when there is none."""
        while busy := [queue for queue in self._queues if queue.waiting]:
            foreground = [one for one in busy if not one.background]
            for one in foreground:
                one.sharing = max(one.sharing, len(foreground))
            queue = batching.least_served(foreground or busy)
            if not self._may_take(stream, queue):
                return None
            entries = self._plan(queue)
            if entries:
                is_alone = not stream.in_flight and not any(one.waiting for one in foreground or busy)
                exclusive = is_alone and entries[0].call is None
                batch = InFlightBatch(queue, entries, time.monotonic())
                stream.in_flight.append(batch)
                queue.running += 1
                return queue, batch, exclusive
        return None

    def _may_take(self, stream: Stream, queue: ModelQueue) -> bool:
        """True when the stream has room: for any engine if it runs none, else for one more batch beside the others.

        Batches of several engines run beside each other where each takes one thread. A batch that waits inside a
        pipelined engine must be full: any other would better wait for more texts.
        """
        running, most = len(stream.in_flight), queue.engine.max_concurrent_batches
        if not running:
            return True
        if any(batch.queue is not queue for batch in stream.in_flight):
            return running < min([most, *(batch.queue.engine.max_concurrent_batches for batch in stream.in_flight)])
        is_full = queue.waiting_tokens >= self._budget(queue)
        return running < most or (running == most and queue.engine.pipelined and is_full)

    def _budget(self, queue: ModelQueue) -> int:
        """Tokens of the next batch; of a call apart always the same."""
        if queue.background:
            return 1  # one text, however long it is: that is what another may have to wait for
        engine, waiting = queue.engine, queue.waiting_tokens if queue.waiting[0].call is None else sys.maxsize
        prefers_large, most = engine.prefers_large_batches, engine.max_concurrent_batches
        return batching.budget(self._compute.batch_tokens, most, waiting, prefers_large=prefers_large)

    def _plan(self, queue: ModelQueue) -> list[QueueEntry]:
        """Takes the next batch out of a queue, and drops expired and abandoned texts."""
        now = time.monotonic()
        call = queue.waiting[0].call
        head = list(takewhile(lambda entry: entry.call is call, islice(queue.waiting, 2 * batching.LOOKAHEAD)))
        for entry in head:
            if entry.deadline < now:  # which was set when less was known of the model's speed, and of the others
                later = queue.deadline(entry.enqueued_at, entry.call_tokens, self._limits.queue_timeout)
                entry.deadline = max(entry.deadline, later)
        plan = batching.next_batch(head, self._budget(queue), now)
        gone = {*plan.batch, *plan.dropped}
        for _ in head:
            queue.waiting.popleft()
        queue.waiting.extendleft(entry for index, entry in reversed(list(enumerate(head))) if index not in gone)
        queue.waiting_tokens -= sum(head[index].tokens for index in gone)
        expired = [head[index] for index in plan.dropped if not head[index].abandoned]
        if expired:
            self._loop.call_soon_threadsafe(expire, expired, retry_after(queue.waiting_tokens / queue.rate))
        batch = [head[index] for index in plan.batch]
        queue.service_tokens += sum(entry.tokens for entry in batch)
        return batch
