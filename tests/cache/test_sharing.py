"""Remembering and computing: half-cached requests, identical questions in flight, leaders that leave or fail."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from labeld.cache.answers import AnswerCache
from labeld.cache.keys import Identity
from labeld.cache.memory import MemoryStore
from labeld.checkpoint.revision import folder_state
from labeld.errors import NotFiniteError
from labeld.lifecycle.identity import LOOK_EVERY, ModelIdentities
from labeld.types import Answer, ClassifyRequest, Options, Text

MIB = 1024 * 1024
IDENTITY = Identity("0" * 40, "float32", 512, 128_000)


class Computer:
    """Computes upper case, behind a gate; records its requests and cancellations."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.computed: list[tuple[str, ...]] = []
        self.stopped: list[tuple[str, ...]] = []

    def of(self, request: ClassifyRequest) -> Callable[[Sequence[int]], Awaitable[list[Answer]]]:
        """Computes the texts of a request, as the service does."""

        async def compute(positions: Sequence[int]) -> list[Answer]:
            asked = tuple(request.texts[index].text for index in positions)
            self.computed.append(asked)
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                await settle()  # as an engine's queue that must be left first
                self.stopped.append(asked)
                raise
            for index in positions:
                if request.texts[index].text.startswith("bad"):
                    raise NotFiniteError(index)
            return [Answer(one.upper().encode(), 0.5) for one in asked]

        return compute


def request(*texts: str, **options: Any) -> ClassifyRequest:
    """A request for these texts."""
    return ClassifyRequest(tuple(map(Text, texts)), options=Options(**options))


async def ask(cache: AnswerCache, computer: Computer, asked: ClassifyRequest, scope: str = "") -> list[bytes]:
    """Looks a request up and completes it, as the service does."""
    lookup = cache.look_up(IDENTITY, asked, scope)
    await cache.read_shared(lookup)
    return [answer.encoded for answer in await cache.complete(lookup, computer.of(asked))]


def begin(cache: AnswerCache, computer: Computer, asked: ClassifyRequest) -> "asyncio.Task[list[bytes]]":
    """A task that answers a request while others run."""
    return asyncio.create_task(ask(cache, computer, asked))


async def settle() -> None:
    """Lets everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Callable[[AnswerCache, Computer], Awaitable[None]], *, gate: bool = True, **options: Any) -> None:
    """Runs a test with an empty cache; `gate` says whether computing may end at once."""

    async def main() -> None:
        computer = Computer()
        if gate:
            computer.gate.set()
        await test(AnswerCache(MemoryStore(MIB, 60.0), **options), computer)

    asyncio.run(main())


def test_only_missing_texts_are_computed() -> None:
    """A request that is half cached has its answers in its own order; a text that it has twice is computed once."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        await ask(cache, computer, request("b", "d"))

        assert [b"A", b"B", b"C", b"A", b"D"] == await ask(cache, computer, request("a", "b", "c", "a", "d"))
        assert [("b", "d"), ("a", "c")] == computer.computed

        assert [b"C", b"D"] == await ask(cache, computer, request("c", "d"))
        assert 2 == len(computer.computed)

    run(test)


def test_what_is_remembered_is_known_without_waiting() -> None:
    """Complete only when every text is there; of an unknown model, and of no texts, nothing is."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        await ask(cache, computer, request("a", "b"))

        assert [True, False] == [cache.look_up(IDENTITY, request(*texts)).complete for texts in ("ab", "abc")]
        assert not cache.look_up(None, request("a")).complete
        assert not cache.look_up(IDENTITY, request()).complete
        assert [] == await ask(cache, computer, request())

    run(test)


def test_identical_questions_in_flight_are_computed_once() -> None:
    """A hundred requests, some of them for a part or for more; each text once."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        asked = [("a", "b"), ("b",), ("b", "c"), ("a", "a")]
        tasks = [begin(cache, computer, request(*asked[index % 4])) for index in range(100)]
        await settle()
        computer.gate.set()

        for index, answers in enumerate(await asyncio.gather(*tasks)):
            assert [one.upper().encode() for one in asked[index % 4]] == answers
        assert [("a", "b"), ("c",)] == computer.computed

    run(test, gate=False)


def test_a_question_answered_since_the_look_up_is_not_computed_again() -> None:
    """Between looking and computing a request waits for its model."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        lookup = cache.look_up(IDENTITY, request("a"))
        await ask(cache, computer, request("a"))

        assert [Answer(b"A", 0.5)] == await cache.complete(lookup, computer.of(request("a")))
        assert [("a",)] == computer.computed

    run(test)


def test_the_work_goes_on_when_the_one_who_began_it_leaves() -> None:
    """The others get the answers, and nothing is computed twice."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        leader = begin(cache, computer, request("a", "b"))
        await settle()
        followers = [begin(cache, computer, request(text)) for text in "ab"]
        await settle()
        leader.cancel()
        await settle()
        computer.gate.set()

        assert [[b"A"], [b"B"]] == await asyncio.gather(*followers)
        assert leader.cancelled()
        assert ([("a", "b")], []) == (computer.computed, computer.stopped)

    run(test, gate=False)


def test_the_work_stops_when_the_last_one_leaves() -> None:
    """And who leaves last leaves after it has stopped; whoever asks then begins anew."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        tasks = [begin(cache, computer, request("a")) for _ in range(3)]
        await settle()
        for task in tasks:
            task.cancel()
        await asyncio.wait([tasks[-1]])
        assert [("a",)] == computer.stopped

        again = begin(cache, computer, request("a"))
        await settle()
        computer.gate.set()

        assert [b"A"] == await again
        assert [("a",), ("a",)] == computer.computed

    run(test, gate=False)


def test_whoever_asks_while_abandoned_work_stops_begins_anew() -> None:
    """It does not join what will be cancelled, and what ends does not take its place away."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        leader = begin(cache, computer, request("a"))
        await settle()
        leader.cancel()
        await asyncio.sleep(0)  # the work is cancelled, and has not ended yet
        again = [begin(cache, computer, request("a")) for _ in range(2)]
        await settle()
        await settle()
        assert [("a",)] == computer.stopped
        again.append(begin(cache, computer, request("a")))
        await settle()
        computer.gate.set()

        assert [[b"A"]] * 3 == await asyncio.gather(*again)
        assert [("a",), ("a",)] == computer.computed

    run(test, gate=False)


def test_a_failure_is_told_to_the_one_whose_work_it_was() -> None:
    """The others compute for themselves: their texts stand elsewhere, or are not the cause; a failure is not kept."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        leader = begin(cache, computer, request("a", "bad"))
        await settle()
        innocent = begin(cache, computer, request("c", "a"))
        guilty = begin(cache, computer, request("bad"))
        await settle()
        computer.gate.set()
        leads, follows, fails = await asyncio.gather(leader, innocent, guilty, return_exceptions=True)

        assert isinstance(leads, NotFiniteError)
        assert isinstance(fails, NotFiniteError)
        assert (1, 0, [b"C", b"A"]) == (leads.index, fails.index, follows)
        with pytest.raises(NotFiniteError) as failed:
            await ask(cache, computer, request("a", "bad", "bad"))
        assert 1 == failed.value.index
        assert [b"A"] == await ask(cache, computer, request("a"))
        assert [("a",), ("a", "bad"), ("bad",), ("bad",), ("c",)] == sorted(computer.computed)

    run(test, gate=False)


def test_an_unseen_failure_is_not_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    """The leader has left when its work fails: the follower succeeds by itself, or there is none."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        leader = begin(cache, computer, request("a", "bad"))
        await settle()
        follower = begin(cache, computer, request("a"))
        await settle()
        leader.cancel()
        computer.gate.set()

        assert [b"A"] == await follower

    async def alone(cache: AnswerCache, computer: Computer) -> None:
        leader = begin(cache, computer, request("bad"))
        await settle()
        computer.gate.set()
        await asyncio.sleep(0)
        leader.cancel()
        await settle()

    run(test, gate=False)
    run(alone, gate=False)
    gc.collect()
    assert "" == caplog.text


def test_without_the_cache_everything_is_computed_and_still_kept() -> None:
    """x-use-cache: false neither reads nor waits for others, and refreshes what others read."""

    async def test(cache: AnswerCache, computer: Computer) -> None:
        normal = begin(cache, computer, request("a"))
        await settle()
        asked = request("a", "a", "b", use_cache=False)
        fresh = [begin(cache, computer, asked) for _ in range(2)]
        await settle()
        assert [("a",), ("a", "a", "b"), ("a", "a", "b")] == computer.computed
        computer.gate.set()

        assert [b"A", b"A", b"B"] == await fresh[0] == await fresh[1]
        assert [b"A"] == await normal
        assert not cache.look_up(IDENTITY, asked).complete
        assert cache.look_up(IDENTITY, request("b")).complete

    run(test, gate=False)


def test_a_cache_without_any_store_shares_nothing() -> None:
    """Switched off, it is as if it were not there."""

    async def main() -> None:
        cache, computer = AnswerCache(MemoryStore(0, 60.0)), Computer()
        tasks = [begin(cache, computer, request("a")) for _ in range(2)]
        await settle()
        computer.gate.set()

        assert [[b"A"], [b"A"]] == await asyncio.gather(*tasks)
        assert [("a",), ("a",)] == computer.computed

    asyncio.run(main())


def test_answers_are_shared_between_clients_unless_told_otherwise() -> None:
    """With the scope `token`, only with the same access token."""

    async def shared(cache: AnswerCache, computer: Computer) -> None:
        for scope in ("x", "y"):
            await ask(cache, computer, request("a"), scope)

        assert [("a",)] == computer.computed

    async def apart(cache: AnswerCache, computer: Computer) -> None:
        for scope in ("x", "y", "", "x", ""):
            await ask(cache, computer, request("a"), scope)

        assert [("a",)] * 3 == computer.computed

    run(shared)
    run(apart, per_token=True)


def test_who_answers_is_known_until_a_file_is_replaced(tmp_path: Path) -> None:
    """Without loading the model; a change is noticed a second later at most, and coming back is too."""
    now = 0.0
    revisions = ModelIdentities(lambda: now)
    (tmp_path / "config.json").write_text("{}")
    old = folder_state(tmp_path)
    assert revisions.identity("org/name", tmp_path) is None
    revisions.record("org/name", IDENTITY, old)
    assert IDENTITY == revisions.identity("org/name", tmp_path)

    (tmp_path / "config.json").rename(tmp_path / ".old")
    (tmp_path / "config.json").write_text("{}")
    now += LOOK_EVERY

    assert revisions.identity("org/name", tmp_path) is None
    revisions.record("org/name", IDENTITY._replace(revision="1" * 40), folder_state(tmp_path))
    assert "1" * 40 == getattr(revisions.identity("org/name", tmp_path), "revision", None)
    (tmp_path / ".old").rename(tmp_path / "config.json")
    now += LOOK_EVERY
    assert revisions.identity("org/name", tmp_path) is None
    revisions.record("org/name", IDENTITY, old)
    assert IDENTITY == revisions.identity("org/name", tmp_path)


def test_a_folder_that_changed_before_the_first_question_is_not_believed(tmp_path: Path) -> None:
    """A changed or removed folder has no identity, however soon after its load somebody asks."""
    revisions = ModelIdentities(lambda: 0.0)
    (tmp_path / "config.json").write_text("{}")
    loaded = folder_state(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    revisions.record("org/name", IDENTITY, loaded)

    assert revisions.identity("org/name", tmp_path) is None
    assert () == folder_state(tmp_path / "gone")
