"""Leases that begin, end and are given up in any order, beside models that are replaced: none is closed in use."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labeld.errors import FolderError, OverloadedError
from labeld.lifecycle.errors import MemoryInUseError
from labeld.repository.resolver import ResolvedModel
from tests.lifecycle.test_registry import CountingLoader, Thing, ids, leases, registry
from tests.support.virtual_time import runner

pytestmark = pytest.mark.slow

BUDGET = 150
SIZES = {"a": 15, "b": 20, "c": 30, "d": 40, "broken": 10, "pinned": 5}
REFUSALS = (FolderError, MemoryInUseError, TimeoutError, OverloadedError, asyncio.CancelledError)


class Leases(RuleBasedStateMachine):
    """Any story of one pool of models."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = runner()
        self.loop = self.runner.get_loop()
        self.loader = CountingLoader(sizes=SIZES, broken={"broken"})

        async def make() -> None:
            self.models = registry(self.loader, BUDGET, idle_timeout=20)

        self.runner.run(make())
        self.models.pin("pinned")
        self.users: dict[asyncio.Task[None], asyncio.Event] = {}
        self.held: list[Thing] = []

    async def use(self, model_id: str, done: asyncio.Event, wait: float | None) -> None:
        """Holds a model until it is let go."""
        async with self.models.lease(ResolvedModel(model_id, model_id, None), wait) as thing:
            assert thing.model_id == model_id
            self.held.append(thing)
            try:
                await done.wait()
            finally:
                self.held.remove(thing)

    def settle(self, seconds: float = 0.0) -> None:
        """Lets time pass, and looks at who has ended."""
        self.runner.run(asyncio.sleep(seconds))
        for task in [task for task in self.users if task.done()]:
            del self.users[task]
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            assert error is None or isinstance(error, REFUSALS), error

    @rule(
        model_id=some.sampled_from([*SIZES]),
        wait=some.sampled_from([None, 0.0, 0.5, 5.0]),
        pause=some.sampled_from([0.0, 1.2, 2.4]),
    )
    def lease(self, model_id: str, wait: float | None, pause: float) -> None:
        """Somebody wants a model, and may have it before anything else comes."""
        done = asyncio.Event()
        self.users[self.loop.create_task(self.use(model_id, done, wait))] = done
        self.settle(pause)

    @precondition(lambda self: self.users)
    @rule(number=some.integers(0, 100))
    def let_go(self, number: int) -> None:
        """Somebody needs it no longer, or will not once it has it."""
        [*self.users.values()][number % len(self.users)].set()
        self.settle()

    @precondition(lambda self: self.users)
    @rule(number=some.integers(0, 100))
    def give_up(self, number: int) -> None:
        """Somebody leaves, with the model or before."""
        [*self.users][number % len(self.users)].cancel()
        self.settle()

    @rule(model_id=some.sampled_from([*SIZES]))
    def replace(self, model_id: str) -> None:
        """The files of a model change."""

        async def change() -> None:
            self.models.replace(model_id)

        self.runner.run(change())
        self.settle()

    @rule(seconds=some.sampled_from([0.05, 0.9, 1.1, 30.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.settle(seconds)

    @invariant()
    def no_model_is_closed_in_use(self) -> None:
        """Whoever has a model can compute with it."""
        assert not any(one.closed for one in self.held)
        assert set(self.held) <= self.loader.alive

    @invariant()
    def memory_stays_within(self) -> None:
        """Also at its highest."""
        assert self.loader.peak <= BUDGET

    def teardown(self) -> None:
        """Everybody lets go, and nothing is left but what may stay."""
        for done in self.users.values():
            done.set()
        self.settle(400)
        assert not self.users
        assert (0, 0, {}) == (leases(self.models), self.models.waiting, self.runner.run(self.loads()))
        assert {one.model_id for one in self.loader.alive} == set(ids(self.models)) <= {"pinned"}
        self.runner.close()

    async def loads(self) -> dict[str, float | None]:
        """Loads that go on."""
        return self.models.loads()


Leases.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_leases_in_any_order = Leases.TestCase
