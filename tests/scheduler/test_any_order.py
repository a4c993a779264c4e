"""Texts that are asked for, given up and expire in any order, in virtual time: each answer is that of its own text."""

import asyncio
import threading
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labeld.config.settings import Compute, Queue
from labeld.errors import DeadlineExceededError, EngineFailedError, OverloadedError
from labeld.scheduler import dispatcher as dispatching
from labeld.scheduler.dispatcher import Dispatcher
from labeld.types import EncodedText, Logits
from tests.scheduler.test_dispatcher import text

pytestmark = pytest.mark.slow

BAD = 13
"""The id of a text on which the engine fails, with its batch."""


class Clock:
    """In the place of the module `time`; the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


class StepEngine:
    """Answers the sum of a text's ids, one batch for each `step`."""

    max_tokens, nbytes, max_concurrent_batches, pipelined, prefers_large_batches = 512, 0, 1, False, False

    def __init__(self) -> None:
        self.waits, self.may_run, self.has_run = (threading.Semaphore(0) for _ in range(3))
        self.batch: list[int] = []
        self.ran: set[int] = set()
        self.failed: set[int] = set()

    def run(self, texts: Sequence[EncodedText]) -> Logits:
        """One logit per text."""
        self.batch = [int(one.ids[0]) for one in texts]
        self.waits.release()
        self.may_run.acquire()
        self.ran |= set(self.batch)
        if any(one % 20 == BAD for one in self.batch):
            self.failed |= set(self.batch)
            raise RuntimeError("a secret of the library")
        return np.array([[one.ids.sum()] for one in texts], np.float32)

    run_concurrently = run

    def close(self) -> None:
        """Has nothing to free."""


class Texts(RuleBasedStateMachine):
    """Any story of two models and one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patched = patch.object(dispatching, "time", self.clock)
        self.patched.start()
        self.runner = asyncio.Runner()
        self.loop = self.runner.get_loop()
        self.engines = [StepEngine(), StepEngine()]
        self.runner.run(self.begin())
        self.number = 0
        self.asking: dict[asyncio.Task[list[np.ndarray]], list[int]] = {}
        self.left: set[int] = set()
        """Texts whose caller left before any batch had them."""
        self.running: StepEngine | None = None

    async def begin(self) -> None:
        """Starts the stream, which takes at most 12 tokens at once."""
        self.dispatcher = Dispatcher(Compute(batch_tokens=12), Queue(queue_seconds=1.0, queue_timeout=10.0), 1)
        self.dispatcher.start()
        self.queues = [self.dispatcher.attach(engine) for engine in self.engines]

    def settle(self) -> None:
        """Lets the stream and the callers run as far as they can, however long that takes on a busy machine."""
        for _ in range(20_000):
            self.runner.run(asyncio.sleep(0.0005))
            if self.running is None:
                self.running = next((one for one in self.engines if one.waits.acquire(blocking=False)), None)
            is_idle = self.running is None and not any(queue.waiting for queue in self.queues)
            if (self.running is not None or is_idle) and not any(self.is_owed(task) or is_idle for task in self.open()):
                break
        else:
            raise AssertionError("texts wait and no batch begins, or callers wait for what was computed")
        self.runner.run(asyncio.sleep(0))
        for task in [task for task in self.asking if task.done()]:
            ids = self.asking.pop(task)
            if task.cancelled():
                continue
            if (error := task.exception()) is not None:
                assert isinstance(error, DeadlineExceededError | EngineFailedError | OverloadedError), error
                continue
            assert [4.0 * one for one in ids] == [float(row[0]) for row in task.result()]

    def open(self) -> list[asyncio.Task[list[np.ndarray]]]:
        """The callers that wait."""
        return [task for task in self.asking if not task.done()]

    def is_owed(self, task: asyncio.Task[list[np.ndarray]]) -> bool:
        """Whether everything that a caller asked for was computed, or a batch of it has failed."""
        ids = set(self.asking[task])
        first, second = self.engines
        return ids <= first.ran | second.ran or not ids.isdisjoint(first.failed | second.failed)

    @rule(which=some.integers(0, 1), count=some.integers(1, 6))
    def ask(self, which: int, count: int) -> None:
        """Somebody asks a model."""
        ids = list(range(self.number + 1, self.number + 1 + count))
        self.number += count
        waiting = self.dispatcher.run(self.queues[which], [text(one) for one in ids])
        self.asking[self.loop.create_task(waiting)] = ids
        self.settle()

    @precondition(lambda self: self.running is not None)
    @rule(seconds=some.sampled_from([0.01, 0.1, 1.0]))
    def step(self, seconds: float) -> None:
        """The batch that runs ends."""
        assert self.running is not None
        self.clock.now += seconds
        engine, self.running = self.running, None
        engine.may_run.release()
        self.settle()

    @precondition(lambda self: self.asking)
    @rule(number=some.integers(0, 100))
    def leave(self, number: int) -> None:
        """Somebody leaves."""
        task = [*self.asking][number % len(self.asking)]
        in_batch = set(self.running.batch) if self.running else set()
        ran = self.engines[0].ran | self.engines[1].ran
        self.left |= set(self.asking[task]) - in_batch - ran
        task.cancel()
        self.settle()

    @rule(seconds=some.sampled_from([0.1, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now += seconds

    @invariant()
    def nobody_who_left_is_computed(self) -> None:
        """Texts that nobody waits for never reach the engine."""
        assert not self.left & (self.engines[0].ran | self.engines[1].ran)

    def teardown(self) -> None:
        """Everything that waits is answered, and the stream ends."""
        for _ in range(300):
            if self.running is None:
                break
            self.step(0.01)
        assert not self.asking
        self.dispatcher.close()
        self.runner.run(self.dispatcher.join())
        self.runner.close()
        self.patched.stop()


Texts.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
test_texts_in_any_order = Texts.TestCase
