"""Requests that ask the cache, leave and fail in any order: nobody gets another text's answer, nothing is left."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labeld.cache.answers import AnswerCache
from labeld.cache.keys import Identity
from labeld.cache.memory import MemoryStore
from labeld.types import Answer, ClassifyRequest, Options, Text
from tests.support.virtual_time import runner

pytestmark = pytest.mark.slow

IDENTITIES = [Identity(str(number) * 40, "float32", 512, 128_000) for number in range(2)]
TTL = 60.0
LIMIT = 5 * 500
"""Bytes of about five answers."""
TEXTS = some.lists(some.sampled_from("abcdefgh"), min_size=1, max_size=4)


class FailedError(Exception):
    """The engine has failed."""


class Requests(RuleBasedStateMachine):
    """Any story of one cache."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = runner()
        self.loop = self.runner.get_loop()
        self.memory = MemoryStore(LIMIT, TTL, self.loop.time)
        self.cache = AnswerCache(self.memory)
        self.asking: dict[asyncio.Task[list[bytes]], list[bytes]] = {}
        self.gates: list[asyncio.Future[None]] = []
        self.computing: list[tuple[Identity, str]] = []
        """Texts that requests which read the cache compute at this moment, by model."""

    async def ask(self, identity: Identity, texts: list[str], *, use_cache: bool) -> list[bytes]:
        """One request, as the service makes it."""
        request = ClassifyRequest(tuple(map(Text, texts)), options=Options(use_cache=use_cache))
        lookup = self.cache.look_up(identity, request)
        if lookup.complete:
            return [answer.encoded for answer in lookup.answers if answer]

        async def compute(positions: Sequence[int]) -> list[Answer]:
            gate = self.loop.create_future()
            self.gates.append(gate)
            mine = [(identity, texts[index]) for index in positions]
            if use_cache:
                self.computing += mine
            try:
                await gate
            finally:
                for one in mine if use_cache else ():
                    self.computing.remove(one)
            return [Answer(answer(identity, texts[index]), 0.5) for index in positions]

        return [one.encoded for one in await self.cache.complete(lookup, compute)]

    def settle(self) -> None:
        """Lets everything run that can, and looks at what has ended."""
        self.runner.run(turns())
        self.gates = [gate for gate in self.gates if not gate.done()]
        for task in [task for task in self.asking if task.done()]:
            expected = self.asking.pop(task)
            if not task.cancelled() and not isinstance(task.exception(), FailedError):
                assert expected == task.result()

    @rule(texts=TEXTS, identity=some.sampled_from(IDENTITIES), use_cache=some.booleans())
    def begin(self, texts: list[str], identity: Identity, use_cache: bool) -> None:
        """Somebody asks."""
        task = self.loop.create_task(self.ask(identity, texts, use_cache=use_cache))
        self.asking[task] = [answer(identity, text) for text in texts]
        self.settle()

    @precondition(lambda self: self.gates)
    @rule(number=some.integers(0, 100), fails=some.booleans())
    def compute(self, number: int, fails: bool) -> None:
        """One of the computations ends."""
        gate = self.gates[number % len(self.gates)]
        if fails:
            gate.set_exception(FailedError())
        else:
            gate.set_result(None)
        self.settle()

    @precondition(lambda self: self.asking)
    @rule(number=some.integers(0, 100))
    def leave(self, number: int) -> None:
        """One of those who ask leaves."""
        [*self.asking][number % len(self.asking)].cancel()
        self.settle()

    @rule(seconds=some.sampled_from([1.0, TTL / 2, TTL]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.runner.run(asyncio.sleep(seconds))
        self.settle()

    @invariant()
    def memory_is_bounded(self) -> None:
        """No more than the limit."""
        assert self.memory.used <= LIMIT

    @invariant()
    def nothing_is_computed_for_nobody(self) -> None:
        """What is computed has somebody who waits for it."""
        assert self.asking or not self.gates
        assert self.asking or not self.cache._in_flight

    def teardown(self) -> None:
        """All computations end, and so do all requests."""
        for _ in range(200):
            if not self.gates:
                break
            self.gates[0].set_result(None)
            self.settle()
        assert not self.asking
        assert not self.computing
        assert not self.cache._in_flight
        self.runner.close()


def answer(identity: Identity, text: str) -> bytes:
    """The answer of a model to a text."""
    return f"{identity.revision[0]} says {text.upper()}".encode()


async def turns() -> None:
    """Some turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


Requests.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_requests_in_any_order = Requests.TestCase
