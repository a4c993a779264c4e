"""Waiting callers and streams, with engines that are small real things: they add, block or fail."""

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from labeld.config.settings import Compute, Queue
from labeld.errors import DeadlineExceededError, EngineFailedError, OverloadedError, UnavailableError
from labeld.scheduler.dispatcher import Dispatcher
from labeld.scheduler.queue import BackgroundDroppedError, ModelQueue
from labeld.types import EncodedText, Logits
from tests.support.event_loop import in_event_loop
from tests.support.server_process import wait_until


def text(value: int, tokens: int = 4) -> EncodedText:
    """A text whose every token is `value`."""
    ids = np.full(tokens, value, np.int32)
    return EncodedText(ids, np.zeros_like(ids))


class AddingEngine:
    """Answers the sum of a text's ids, and records the batches. Waits for `gate`; fails on a batch with a -1."""

    max_tokens = 512
    nbytes = 0

    def __init__(self, history: list[int] | None = None) -> None:
        self.history = history if history is not None else []
        """First ids of all texts in the order they ran; may be shared between engines."""
        self.max_concurrent_batches, self.pipelined, self.prefers_large_batches = 1, False, False
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.batches: list[list[int]] = []
        self.exclusive: list[bool] = []

    def run(self, texts: Sequence[EncodedText]) -> Logits:
        """One logit per text."""
        return self._sums(texts, exclusive=True)

    def run_concurrently(self, texts: Sequence[EncodedText]) -> Logits:
        """One logit per text."""
        return self._sums(texts, exclusive=False)

    def close(self) -> None:
        """Has nothing to free."""

    def _sums(self, texts: Sequence[EncodedText], *, exclusive: bool) -> Logits:
        self.batches.append([int(one.ids[0]) for one in texts])
        self.exclusive.append(exclusive)
        self.history += self.batches[-1]
        self.started.set()
        assert self.gate.wait(10)
        if any(one.ids[0] == -1 for one in texts):
            raise RuntimeError("a secret of the library")
        return np.array([[one.ids.sum()] for one in texts], np.float32)


class SlowEngine(AddingEngine):
    """Computes 500 tokens per second."""

    def _sums(self, texts: Sequence[EncodedText], *, exclusive: bool) -> Logits:
        time.sleep(sum(len(one.ids) for one in texts) / 500)
        return super()._sums(texts, exclusive=exclusive)


@asynccontextmanager
async def dispatcher(
    streams: int = 1, limits: Queue | None = None, compute: Compute | None = None, max_concurrent_batches: int = 1
) -> AsyncIterator[Dispatcher]:
    """A running dispatcher that is closed at the end."""
    running = Dispatcher(
        compute or Compute(), limits or Queue(), streams, max_concurrent_batches=max_concurrent_batches
    )
    running.start()
    try:
        yield running
    finally:
        running.close()
        await asyncio.wait_for(running.join(), 10)


Answers = asyncio.Task[list[np.ndarray]]


async def blocked(running: Dispatcher, engine: AddingEngine) -> tuple[ModelQueue, Answers]:
    """The engine's queue, and a first call that occupies the stream until `engine.gate` is set."""
    queue = running.attach(engine)
    engine.gate.clear()
    engine.started.clear()
    first = asyncio.create_task(running.run(queue, [text(100)]))
    await asyncio.to_thread(engine.started.wait, 10)
    return queue, first


@in_event_loop
async def test_each_text_gets_its_own_row() -> None:
    """The answers of many concurrent requests of many sizes do not mix."""
    engine = AddingEngine()
    async with dispatcher(streams=2) as running:
        queue = running.attach(engine)
        asked = [[text(10 * request + one) for one in range(request % 7)] for request in range(50)]
        answers = await asyncio.gather(*(running.run(queue, texts) for texts in asked))

        expected = [[float(one.ids.sum()) for one in texts] for texts in asked]
        assert expected == [[float(row[0]) for row in rows] for rows in answers]


@in_event_loop
async def test_a_busy_stream_lets_the_queue_fill_into_one_batch() -> None:
    """Texts that arrive while a batch runs are run together next."""
    engine = AddingEngine()
    async with dispatcher() as running:
        queue, first = await blocked(running, engine)
        others = [asyncio.create_task(running.run(queue, [text(value)])) for value in (1, 2, 3)]
        await asyncio.sleep(0)
        engine.gate.set()
        await asyncio.gather(first, *others)

        assert [[100], [1, 2, 3]] == engine.batches


@in_event_loop
async def test_a_full_batch_waits_in_a_pipelined_engine() -> None:
    """While a batch runs, the engine is given the next one as soon as it is full, and not before."""
    engine = AddingEngine()
    engine.pipelined = True
    async with dispatcher(compute=Compute(batch_tokens=8)) as running:
        queue, first = await blocked(running, engine)
        others = [asyncio.create_task(running.run(queue, [text(value)])) for value in (1, 2, 3)]
        assert await asyncio.to_thread(wait_until, lambda: len(engine.batches) == 2)
        await asyncio.sleep(0.05)

        assert [[100], [1, 2]] == engine.batches
        engine.gate.set()
        await asyncio.gather(first, *others)
        assert [[100], [1, 2], [3]] == engine.batches


@in_event_loop
async def test_an_engine_runs_up_to_max_concurrent_batches() -> None:
    """The first batch is exclusive; one that comes meanwhile runs concurrently, and the next one waits."""
    engine = AddingEngine()
    engine.max_concurrent_batches = 2
    async with dispatcher(max_concurrent_batches=2) as running:
        queue, first = await blocked(running, engine)
        second = asyncio.create_task(running.run(queue, [text(1)]))
        assert await asyncio.to_thread(wait_until, lambda: len(engine.batches) == 2)
        third = asyncio.create_task(running.run(queue, [text(2)]))
        await asyncio.sleep(0.05)

        assert [[100], [1]] == engine.batches
        engine.gate.set()
        await asyncio.gather(first, second, third)
        assert [True, False] == engine.exclusive[:2]


@in_event_loop
async def test_a_call_apart_has_the_same_batches_however_busy_the_stream_is() -> None:
    """They hold no text of another call, and never run exclusively, so that nothing of them depends on timing."""
    engine, texts = AddingEngine(), [text(value, 1 + value % 5) for value in range(1, 12)]
    async with dispatcher(compute=Compute(batch_tokens=8)) as running:
        queue, first = await blocked(running, engine)
        calls = [([text(50)], False), (texts, True), ([text(60)], False), (texts, True)]
        busy = [asyncio.create_task(running.run(queue, some, apart=apart)) for some, apart in calls]
        await asyncio.sleep(0)
        engine.gate.set()
        answers = await asyncio.gather(first, *busy)
        of_all = engine.batches[:]
        engine.batches.clear()
        engine.exclusive.clear()
        alone = await running.run(queue, texts, apart=True)

        assert [[100], [50], *engine.batches, [60], *engine.batches] == of_all
        assert {False} == set(engine.exclusive)
        assert [alone, alone] == [answers[2], answers[4]]


@in_event_loop
async def test_an_engine_that_prefers_large_batches_gets_them_while_many_texts_wait() -> None:
    """Up to batch_tokens while there is as much for each thread to run and to follow, else half of that."""
    engine = AddingEngine()
    engine.max_concurrent_batches, engine.prefers_large_batches = 2, True
    async with dispatcher(compute=Compute(batch_tokens=16), max_concurrent_batches=2) as running:
        queue, first = await blocked(running, engine)
        many = asyncio.create_task(running.run(queue, [text(1, 1)] * 80))
        assert await asyncio.to_thread(wait_until, lambda: len(engine.batches) == 2)
        engine.gate.set()
        await asyncio.gather(first, many)

        assert [16, 16, 12, 9, 8, 8, 8, 3] == sorted(map(len, engine.batches[1:]), reverse=True)


@in_event_loop
async def test_large_batches_of_a_call_apart_do_not_depend_on_what_waits() -> None:
    """They have batch_tokens to the end of the call."""
    engine = AddingEngine()
    engine.max_concurrent_batches, engine.prefers_large_batches = 2, True
    async with dispatcher(compute=Compute(batch_tokens=16), max_concurrent_batches=2) as running:
        await running.run(running.attach(engine), [text(1, 1)] * 20, apart=True)

        assert [16, 4] == sorted(map(len, engine.batches), reverse=True)


@in_event_loop
async def test_an_engine_that_takes_all_threads_has_the_stream_for_itself() -> None:
    """It runs beside no batch of another engine, and none of another beside it, whatever else the other could take."""
    for first_most, other_most in ((2, 1), (1, 2)):
        engine, other = AddingEngine(), AddingEngine()
        engine.max_concurrent_batches, other.max_concurrent_batches = first_most, other_most
        async with dispatcher(max_concurrent_batches=2) as running:
            _, first = await blocked(running, engine)
            second = asyncio.create_task(running.run(running.attach(other), [text(1)]))
            await asyncio.sleep(0.05)

            assert [] == other.batches
            engine.gate.set()
            await asyncio.gather(first, second)
            assert [[1]] == other.batches


@in_event_loop
async def test_engines_that_take_one_thread_each_share_a_stream() -> None:
    """As many batches as one of them could run, of whichever models wait, and none of them with all threads."""
    engine, other, third = AddingEngine(), AddingEngine(), AddingEngine()
    for one in (engine, other, third):
        one.max_concurrent_batches = 2
        one.pipelined = True
    async with dispatcher(compute=Compute(batch_tokens=8), max_concurrent_batches=2) as running:
        _, first = await blocked(running, engine)
        other.gate.clear()
        second = asyncio.create_task(running.run(running.attach(other), [text(1)]))
        assert await asyncio.to_thread(wait_until, lambda: other.batches == [[1]])
        more = asyncio.create_task(running.run(running.attach(third), [text(value, 8) for value in (2, 3)]))
        await asyncio.sleep(0.05)

        assert [] == third.batches
        engine.gate.set()
        assert await asyncio.to_thread(wait_until, lambda: third.batches != [])
        other.gate.set()
        await asyncio.gather(first, second, more)
        assert [False] * 3 == [*other.exclusive, *third.exclusive][:3]


@in_event_loop
async def test_what_a_caller_who_left_had_queued_never_runs() -> None:
    """A cancelled caller's texts are dropped when the batch forms; its neighbours are answered."""
    engine = AddingEngine()
    async with dispatcher() as running:
        queue, first = await blocked(running, engine)
        leaves = asyncio.create_task(running.run(queue, [text(1), text(2)]))
        stays = asyncio.create_task(running.run(queue, [text(3)]))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.sleep(0)
        engine.gate.set()
        rows = (await asyncio.gather(first, stays))[1]

        assert [[100], [3]] == engine.batches
        assert 12.0 == float(rows[0][0])


@in_event_loop
async def test_a_caller_may_leave_while_its_batch_runs() -> None:
    """The others in the batch are answered, and the stream goes on."""
    engine = AddingEngine()
    async with dispatcher() as running:
        queue, first = await blocked(running, engine)
        first.cancel()
        engine.gate.set()

        assert 8.0 == float((await running.run(queue, [text(2)]))[0][0])


@in_event_loop
async def test_an_engine_error_reaches_every_caller_of_the_batch_and_no_one_else() -> None:
    """Those of the failing batch get a sentence without the library's words; the next batch is answered."""
    engine = AddingEngine()
    async with dispatcher(compute=Compute(batch_tokens=8)) as running:
        queue, first = await blocked(running, engine)
        asked = [asyncio.create_task(running.run(queue, [text(value)])) for value in (-1, 1, 2)]
        await asyncio.sleep(0)
        engine.gate.set()
        results = await asyncio.gather(first, *asked, return_exceptions=True)

        assert [list, EngineFailedError, EngineFailedError, list] == [type(result) for result in results]
        assert "secret" not in str(results[1])


@in_event_loop
async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    """The bound is in tokens, of what waits before a request; what was queued is answered."""
    engine = AddingEngine()
    async with dispatcher(limits=Queue(queue_seconds=1.0)) as running:
        queue, first = await blocked(running, engine)
        queued = asyncio.create_task(running.run(queue, [text(1, 1500)]))
        await asyncio.sleep(0)
        large = asyncio.create_task(running.run(queue, [text(2, 500)] * 40))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="21500 tokens wait") as refused:
            await running.run(queue, [text(3)])
        engine.gate.set()
        await asyncio.gather(first, queued, large)

        assert 1 <= refused.value.retry_after <= 30
        assert [[100], [1]] + [[2]] * 40 == engine.batches


@in_event_loop
async def test_an_empty_queue_admits_any_request() -> None:
    """One whose own work exceeds the queue's bound is answered."""
    async with dispatcher(limits=Queue(queue_seconds=0.1)) as running:
        queue = running.attach(AddingEngine())

        assert 100 == len(await running.run(queue, [text(1, 512)] * 100))


@in_event_loop
async def test_the_first_texts_of_a_slow_model_are_all_answered() -> None:
    """One call may have more than a model computes in the time that was allowed when its speed was still a guess."""
    async with dispatcher(limits=Queue(queue_timeout=0.1), compute=Compute(batch_tokens=8)) as running:
        queue = running.attach(SlowEngine())

        assert 100 == len(await running.run(queue, [text(1)] * 100))


@pytest.mark.slow
@in_event_loop
async def test_the_texts_of_several_models_are_all_answered() -> None:
    """Each gets a share of the time, and has as much more of it."""
    async with dispatcher(limits=Queue(queue_timeout=0.1), compute=Compute(batch_tokens=8)) as running:
        queues = [running.attach(SlowEngine()) for _ in range(4)]
        await asyncio.gather(*[running.run(queue, [text(1)] * 100) for queue in queues])
        again = await asyncio.gather(*[running.run(queue, [text(1)] * 100) for queue in queues])

        assert [100] * 4 == [len(rows) for rows in again]


@in_event_loop
async def test_a_text_that_waited_too_long_is_refused_unrun() -> None:
    """Its deadline has passed when the stream is free again."""
    engine = AddingEngine()
    async with dispatcher(limits=Queue(queue_timeout=0.1)) as running:
        queue, first = await blocked(running, engine)
        late = asyncio.create_task(running.run(queue, [text(1)]))
        await asyncio.sleep(0.2)
        engine.gate.set()
        await first
        with pytest.raises(DeadlineExceededError):
            await late

        assert [[100]] == engine.batches


@in_event_loop
async def test_two_models_are_served_in_turn() -> None:
    """A model with a long queue does not keep another one waiting."""
    history: list[int] = []
    busy, quiet = AddingEngine(history), AddingEngine(history)
    async with dispatcher(compute=Compute(batch_tokens=4)) as running:
        busy_queue, first = await blocked(running, busy)
        quiet_queue = running.attach(quiet)
        many = asyncio.create_task(running.run(busy_queue, [text(1)] * 50))
        one = asyncio.create_task(running.run(quiet_queue, [text(2)]))
        await asyncio.sleep(0)
        busy.gate.set()
        await asyncio.gather(first, many, one)

        assert history.index(2) <= 4


@in_event_loop
async def test_closing_answers_what_was_taken_and_refuses_the_rest() -> None:
    """A drain delivers everything that was queued before it."""
    engine = AddingEngine()
    async with dispatcher() as running:
        queue, first = await blocked(running, engine)
        queued = asyncio.create_task(running.run(queue, [text(1)]))
        await asyncio.sleep(0)
        running.close()
        with pytest.raises(UnavailableError):
            await running.run(queue, [text(2)])
        engine.gate.set()

        assert [[400.0], [4.0]] == [[float(row[0]) for row in rows] for rows in await asyncio.gather(first, queued)]


@in_event_loop
async def test_a_hung_batch_is_noticed_and_nobody_waits_for_ever() -> None:
    """Closing with an error answers those who wait and those whose batch runs."""
    engine = AddingEngine()
    async with dispatcher(compute=Compute(batch_timeout=0.1)) as running:
        assert not running.hung()
        queue, first = await blocked(running, engine)
        queued = asyncio.create_task(running.run(queue, [text(1)]))
        await asyncio.sleep(0.2)
        assert running.hung()
        running.close(UnavailableError("The engine hangs."))
        results = await asyncio.wait_for(asyncio.gather(first, queued, return_exceptions=True), 1)
        engine.gate.set()

        assert [UnavailableError, UnavailableError] == [type(result) for result in results]


@in_event_loop
async def test_a_detached_engine_is_let_go_once_no_stream_runs_it() -> None:
    """The caller has left, its batch still runs: detaching waits for the batch, and then nobody holds the engine."""
    engine = AddingEngine()
    async with dispatcher() as running:
        queue, first = await blocked(running, engine)
        queued = asyncio.create_task(running.run(queue, [text(1)]))
        await asyncio.sleep(0)
        for caller in (first, queued):
            caller.cancel()
        assert [asyncio.CancelledError] * 2 == [
            type(one) for one in await asyncio.gather(first, queued, return_exceptions=True)
        ]
        detaching = asyncio.create_task(running.detach(queue))
        await asyncio.sleep(0.05)
        assert not detaching.done()
        gate, history, gone = engine.gate, engine.history, weakref.ref(engine)
        del engine, queue, first, queued, caller
        gate.set()
        await asyncio.wait_for(detaching, 10)

        assert [100] == history
        assert await asyncio.to_thread(wait_until, lambda: gone() is None)
        other = AddingEngine()
        assert [[12.0]] == [list(row) for row in await running.run(running.attach(other), [text(3)])]


@in_event_loop
async def test_background_texts_come_last_and_one_at_a_time() -> None:
    """Those of others that come later run before them, in batches as ever."""
    async with dispatcher() as running:
        engine = AddingEngine()
        other = AddingEngine(engine.history)
        first, call = await blocked(running, engine)
        background = running.attach(other, background=True)
        beside = asyncio.create_task(running.run(background, [text(1), text(2), text(3)]))
        await asyncio.sleep(0.05)
        late = asyncio.create_task(running.run(first, [text(10), text(11)]))
        await asyncio.sleep(0.05)
        engine.gate.set()
        await asyncio.gather(call, late, beside)

        assert [100, 10, 11, 1, 2, 3] == engine.history
        assert [[1], [2], [3]] == other.batches
        assert [4.0, 8.0, 12.0] == [float(one[0]) for one in beside.result()]
        await running.detach(background)


@in_event_loop
async def test_background_texts_are_dropped_where_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once when they would begin, and after a while when they have waited; a batch that runs is not stopped."""
    monkeypatch.setattr("labeld.scheduler.dispatcher.BACKGROUND_SECONDS", 0.2)
    async with dispatcher() as running:
        engine, other = AddingEngine(), AddingEngine()
        queue, call = await blocked(running, engine)
        background, later = running.attach(other, background=True), running.attach(other, background=True)
        beside = asyncio.create_task(running.run(background, [text(1)]))
        await asyncio.sleep(0.05)
        soon = asyncio.create_task(running.run(queue, [text(10)]))
        await asyncio.sleep(0.05)
        assert not beside.done()
        with pytest.raises(BackgroundDroppedError):
            await running.run(later, [text(2)])
        await asyncio.sleep(0.2)
        last = asyncio.create_task(running.run(queue, [text(11)]))
        with pytest.raises(BackgroundDroppedError):
            await beside
        assert running.load()[0] > 0
        engine.gate.set()
        await asyncio.gather(call, soon, last)

        assert [] == other.history
        assert [100, 10, 11] == engine.history
        await running.detach(background)
        await running.detach(later)
