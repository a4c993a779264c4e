"""Models are loaded once, stay while they are leased, and leave in the right order when room is needed.

The loader is a small one that counts; the clock jumps, so that an hour of back-off takes no time.
"""

import asyncio
import random
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from labeld.config.settings import Residency
from labeld.errors import FolderError, ModelTooLargeError, UnavailableError
from labeld.lifecycle.errors import MemoryInUseError, TooManyWaitingError
from labeld.lifecycle.registry import Registry
from labeld.repository.resolver import ResolvedModel
from tests.support.virtual_time import run


@dataclass(eq=False)
class Thing:
    """A loaded model of the test."""

    model_id: str
    bytes: int
    closed: bool = False


@dataclass(eq=False)
class CountingLoader:
    """Loads a Thing in one second, or fails; records its calls and the models in memory."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of a model; 10 where nothing is said."""
    surprises: dict[str, int] = field(default_factory=dict)
    """Bytes that a model takes beyond what was expected."""
    broken: set[str] = field(default_factory=set)
    base: int = 100
    leak: int = 0
    """Bytes of each model that closing does not give back."""
    garbage: int = 0
    """Bytes of the base that only asking gives back."""
    loads: list[str] = field(default_factory=list)
    closes: list[str] = field(default_factory=list)
    alive: set[Thing] = field(default_factory=set)
    peak: int = 0
    loading: int = 0

    def measure(self) -> int:
        """Bytes that are in use."""
        return self.base + sum(one.bytes for one in self.alive)

    async def prepare(self, model: ResolvedModel) -> int:
        """The bytes that the model is expected to need."""
        return self.sizes.get(model.model_id, 10)

    async def load(self, model_id: str) -> Thing:
        """Takes a second."""
        self.loads.append(model_id)
        self.loading += 1
        assert self.loading == 1, "two loads at once"
        await asyncio.sleep(1)
        self.loading -= 1
        if model_id in self.broken:
            raise FolderError(f"config.json of {model_id} is missing.")
        thing = Thing(model_id, self.sizes.get(model_id, 10) + self.surprises.get(model_id, 0))
        self.alive.add(thing)
        self.peak = max(self.peak, self.measure())
        return thing

    def size(self, model: Thing) -> int:
        """Less than what it takes, so that measuring matters."""
        return model.bytes // 2

    async def close(self, model: Thing) -> None:
        """Takes a tenth of a second."""
        assert not model.closed
        model.closed = True
        await asyncio.sleep(0.1)
        self.closes.append(model.model_id)
        self.alive.remove(model)
        self.base += self.leak

    async def trim_memory(self) -> None:
        """Frees what nobody uses."""
        self.base -= self.garbage
        self.garbage = 0


def registry(loader: CountingLoader, budget: int = 10**9, **limits: float) -> Registry[Thing]:
    """A registry of this loader."""
    return Registry(loader, Residency(**limits), budget, loader.measure)


async def use(models: Registry[Thing], model_id: str, seconds: float = 0.0, wait: float | None = None) -> str:
    """Leases a model for some time and looks whether it stayed."""
    async with models.lease(ResolvedModel(model_id, model_id, None), wait) as thing:
        await asyncio.sleep(seconds)
        assert not thing.closed
        assert thing in models._loader.alive
        return thing.model_id


def leases(models: Registry[Thing]) -> int:
    """All leases there are."""
    return sum(one.leases for one in models.loaded())


def ids(models: Registry[Thing]) -> list[str]:
    """The loaded models, the least recently used first."""
    return [one.model_id for one in models.loaded()]


async def outcomes(callers: Iterable[asyncio.Future[str]]) -> list[type]:
    """The result of each caller: str, or the type of its exception."""
    return [type(one) for one in await asyncio.gather(*callers, return_exceptions=True)]


def now() -> float:
    """Seconds on the virtual clock."""
    return asyncio.get_running_loop().time()


def test_a_thousand_callers_share_one_load() -> None:
    """One load, a thousand leases at the same moment, and none at the end."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader)
        callers = [asyncio.create_task(use(models, "a", 5)) for _ in range(1000)]
        await asyncio.sleep(3)
        assert (1000, 0) == (leases(models), models.waiting)

        assert ["a"] * 1000 == await asyncio.gather(*callers)
        assert (["a"], 0, ["a"]) == (loader.loads, leases(models), ids(models))

    run(story())


def test_a_leased_model_stays_and_the_next_waits_for_it() -> None:
    """Room for one: the second is loaded when the first lease has ended, not before."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader, budget=115)
        began = now()
        first = asyncio.create_task(use(models, "a", 50))
        await asyncio.sleep(2)

        assert "b" == await use(models, "b")
        assert now() - began == pytest.approx(1 + 50 + 0.1 + 1)
        assert ("a", ["a"], ["b"]) == (await first, loader.closes, ids(models))
        assert 110 == loader.peak

    run(story())


def test_who_waits_for_room_gives_up_at_its_own_deadline() -> None:
    """The load is abandoned with its last waiter, is no failure, and blocks no other model."""

    async def story() -> None:
        loader = CountingLoader(sizes={"small": 4})
        models = registry(loader, budget=115)
        first = asyncio.create_task(use(models, "a", 50))
        await asyncio.sleep(2)
        with pytest.raises(TimeoutError):
            await use(models, "b", wait=3)
        await asyncio.sleep(0.1)
        assert ({}, 0, 0) == (models.loads(), models.waiting, models.counts.failures)

        assert "small" == await use(models, "small", wait=2)
        assert "a" == await first
        assert "b" == await use(models, "b")
        assert ["a", "small", "b"] == loader.loads

    run(story())


def test_the_least_recently_used_leaves_first() -> None:
    """In the order of their last use, no more than are needed."""

    async def story() -> None:
        loader = CountingLoader(sizes={"big": 20})
        models = registry(loader, budget=140)
        for model_id in ("a", "b", "c", "d", "a", "c"):
            await use(models, model_id)
        assert ["b", "d", "a", "c"] == ids(models)
        await use(models, "e")
        assert ["b"] == loader.closes
        await use(models, "big")
        assert ["b", "d", "a"] == loader.closes
        assert (["c", "e", "big"], 3) == (ids(models), models.counts.evictions)

    run(story())


def test_a_pinned_model_is_never_evicted() -> None:
    """Neither for room nor for idleness; the error of a model that does not fit beside it has both sizes."""

    async def story() -> None:
        loader = CountingLoader(sizes={"big": 35})
        models = registry(loader, budget=140, idle_timeout=5)
        models.pin("a")
        for model_id in ("a", "b", "c", "d"):
            await use(models, model_id)
        with pytest.raises(ModelTooLargeError) as refused:
            await use(models, "big")
        assert (35, 30) == (refused.value.needed, refused.value.room)
        assert ([], ["a", "b", "c"]) == (loader.closes, [*ids(models)][:3])
        await use(models, "e")
        assert (["b"], ["a", "c", "d", "e"]) == (loader.closes, ids(models))
        await asyncio.sleep(100)

        assert ["a"] == ids(models)

    run(story())


def test_what_can_never_fit_evicts_nobody() -> None:
    """Both sizes are in the error, and the models that are loaded stay."""

    async def story() -> None:
        loader = CountingLoader(sizes={"big": 31})
        models = registry(loader, budget=130)
        await use(models, "a")
        with pytest.raises(ModelTooLargeError) as refused:
            await use(models, "big")

        assert (31, 30, ["a"], ["a"]) == (refused.value.needed, refused.value.room, loader.loads, ids(models))

    run(story())


def test_what_took_more_than_expected_is_made_up_for() -> None:
    """Sizes are measured: the others leave until it fits again, the new one is served."""

    async def story() -> None:
        loader = CountingLoader(surprises={"c": 12})
        models = registry(loader, budget=140)
        for model_id in ("a", "b", "c"):
            await use(models, model_id)

        assert (["b", "c"], 22) == (ids(models), models.loaded()[-1].bytes)

    run(story())


def test_memory_that_does_not_come_back_counts() -> None:
    """The sum follows what is measured, so that leaks mean fewer models and not more memory."""

    async def story() -> None:
        loader = CountingLoader(leak=2)
        models = registry(loader, budget=130)
        for turn in range(8):
            await use(models, f"model-{turn}")

        assert (1, 130) >= (len(ids(models)), loader.peak)
        assert models.used() == loader.measure()

    run(story())


def test_memory_that_others_use_counts() -> None:
    """Memory of the process itself leaves less room for models; no model is evicted in vain, or for good."""

    async def story() -> None:
        loader = CountingLoader(sizes={"big": 25})
        models = registry(loader, budget=140)
        for model_id in ("a", "b"):
            await use(models, model_id)
        loader.base += 20
        await use(models, "c")
        assert (["a"], ["b", "c"], 140) == (loader.closes, ids(models), loader.peak)

        with pytest.raises(MemoryInUseError) as refused:
            await use(models, "big")
        assert (20, ["b", "c"], None) == (refused.value.room, ids(models), models.failure("big"))
        loader.base -= 20
        await use(models, "big")
        assert "big" in ids(models)

    run(story())


def test_garbage_is_given_back_before_anybody_leaves() -> None:
    """Memory that only a garbage collection frees neither evicts a model nor refuses one."""

    async def story() -> None:
        loader = CountingLoader(sizes={"big": 25})
        models = registry(loader, budget=140)
        await use(models, "a")
        loader.base += 1000
        loader.garbage = 1000
        await use(models, "big")

        assert ([], ["a", "big"]) == (loader.closes, ids(models))

    run(story())


def test_a_replaced_model_ends_with_its_leases() -> None:
    """Who has it keeps it, who comes later gets the new one, and the old one is closed once; pinned or not."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader)
        models.pin("a")
        for _ in range(2):
            early = asyncio.create_task(use(models, "a", 50))
            await asyncio.sleep(2)
            models.replace("a")
            assert await use(models, "a") == "a"
            assert await early == "a"
            await asyncio.sleep(1)
        models.replace("a")
        await asyncio.sleep(1)

        assert (["a"] * 3, ["a"] * 3, []) == (loader.loads, loader.closes, ids(models))

    run(story())


def test_a_replaced_model_makes_room_for_its_successor() -> None:
    """With room for one the new one waits until the old one is let go."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader, budget=115)
        models.pin("a")
        early = asyncio.create_task(use(models, "a", 50))
        await asyncio.sleep(2)
        models.replace("a")
        assert await use(models, "a") == "a"
        assert await early == "a"

        assert (["a", "a"], ["a"], 110) == (loader.loads, loader.closes, loader.peak)

    run(story())


def test_a_failed_load_is_told_to_everyone_and_tried_again_ever_later() -> None:
    """One try for a thousand callers; then after 1, 2, 4 and so on up to 60 seconds; forgotten by the first success."""

    async def story() -> None:
        loader = CountingLoader(broken={"a"})
        models = registry(loader, idle_timeout=1)
        callers = [asyncio.create_task(use(models, "a")) for _ in range(1000)]
        assert [FolderError] * 1000 == await outcomes(callers)
        assert ["a"] == loader.loads
        reason = models.failure("a")
        with pytest.raises(FolderError) as again:
            await use(models, "a")
        assert again.value is reason

        pauses = []
        for _ in range(9):
            failed = now()
            tries = len(loader.loads)
            while len(loader.loads) == tries:
                await asyncio.sleep(0.25)
                began = now()
                await outcomes([asyncio.create_task(use(models, "a"))])
            pauses.append(began - failed)
        assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == pauses

        loader.broken.clear()
        await asyncio.sleep(60)
        assert "a" == await use(models, "a")
        assert (None, 10, 1) == (models.failure("a"), models.counts.failures, models.counts.loads)
        await asyncio.sleep(2)
        loader.broken.add("a")
        assert [FolderError] == await outcomes([asyncio.create_task(use(models, "a"))])
        await asyncio.sleep(1)
        assert (None, []) == (models.failure("a"), ids(models))

    run(story())


def test_a_failed_load_does_not_keep_others_waiting() -> None:
    """The next in line has its turn, and nothing is left of the first."""

    async def story() -> None:
        loader = CountingLoader(broken={"a"})
        models = registry(loader)
        callers = [asyncio.create_task(use(models, model_id)) for model_id in ("a", "b")]

        assert [FolderError, str] == await outcomes(callers)
        assert (["b"], {}, 0) == (ids(models), models.loads(), leases(models))

    run(story())


def test_a_caller_that_leaves_does_not_stop_the_load() -> None:
    """The next one finds the model loaded, without a lease."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader)
        leaving = asyncio.create_task(use(models, "a"))
        await asyncio.sleep(0.5)
        assert 1 == models.waiting
        leaving.cancel()
        assert [asyncio.CancelledError] == await outcomes([leaving])
        assert 0 == models.waiting
        await asyncio.sleep(1)

        assert (["a"], 0) == (ids(models), leases(models))
        assert ("a", ["a"]) == (await use(models, "a"), loader.loads)

    run(story())


def test_a_caller_that_leaves_as_the_load_ends_leaves_no_lease() -> None:
    """Its lease was counted already, and is given back."""

    async def story() -> None:
        models = registry(CountingLoader())
        callers = [asyncio.create_task(use(models, "a")) for _ in range(3)]
        await asyncio.sleep(1)
        while not leases(models):
            await asyncio.sleep(0)
        assert 3 == leases(models)
        callers[1].cancel()

        assert [str, asyncio.CancelledError, str] == await outcomes(callers)
        assert 0 == leases(models)

    run(story())


def test_the_wait_is_the_callers_own() -> None:
    """One gives up after half a second, one is served; a wait of none begins the load all the same."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader)
        waits = (0, 0.5, 2, None)

        assert [TimeoutError, TimeoutError, str, str] == await outcomes(
            [asyncio.create_task(use(models, "a", wait=wait)) for wait in waits]
        )
        assert ["a"] == loader.loads
        with pytest.raises(TimeoutError):
            await use(models, "b", wait=0)
        await asyncio.sleep(2)
        assert "b" in ids(models)

    run(story())


def test_waiters_are_bounded() -> None:
    """One more is refused at once; who asks for a loaded model does not wait and is not."""

    async def story() -> None:
        models = registry(CountingLoader(), max_waiting=3)
        await use(models, "loaded")
        callers = [asyncio.create_task(use(models, model_id)) for model_id in ("a", "a", "b", "b")]

        assert "loaded" == await use(models, "loaded")
        assert [str, str, str, TooManyWaitingError] == await outcomes(callers)
        assert (0, "b") == (models.waiting, await use(models, "b"))

    run(story())


def test_an_idle_model_is_unloaded_after_its_timeout() -> None:
    """Counted from the end of its last use; a lease keeps it; 0 keeps it for ever."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader, idle_timeout=10)
        await use(models, "a")
        await asyncio.sleep(9)
        await use(models, "a", seconds=30)
        await asyncio.sleep(9)
        assert ["a"] == ids(models)
        await asyncio.sleep(1.5)
        assert ([], ["a"]) == (ids(models), loader.closes)
        with pytest.raises(TimeoutError):
            await use(models, "unused", wait=0)
        await asyncio.sleep(20)
        assert ["a", "unused"] == loader.closes

        forever = registry(loader)
        await use(forever, "a")
        await asyncio.sleep(10**6)
        assert ["a"] == ids(forever)

    run(story())


def test_a_model_that_is_used_again_while_it_waits_to_be_unloaded_stays() -> None:
    """Its time is over while another model loads, and it is used before the turn to unload it comes."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader, idle_timeout=10)
        await use(models, "a")
        await asyncio.sleep(9.5)
        other = asyncio.create_task(use(models, "b"))
        await asyncio.sleep(0.75)
        await use(models, "a")
        await other
        await asyncio.sleep(1)

        assert ({"a", "b"}, []) == ({*ids(models)}, loader.closes)

    run(story())


def test_loads_tell_how_far_they_are() -> None:
    """In the order they were asked for; None before its turn."""

    async def story() -> None:
        models = registry(CountingLoader())
        callers = [asyncio.create_task(use(models, model_id)) for model_id in "abc"]
        await asyncio.sleep(1.25)

        assert {"b": pytest.approx(0.25), "c": None} == models.loads()
        assert (["a"], True, False) == (ids(models), models.is_loaded("a"), models.is_loaded("b"))
        await asyncio.gather(*callers)
        assert {} == models.loads()

    run(story())


def test_closing_tells_everyone_who_waits() -> None:
    """Now and later; nothing is loaded any more."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader)
        callers = [asyncio.create_task(use(models, model_id)) for model_id in "ab"]
        await asyncio.sleep(0.5)
        models.close(UnavailableError("This server is stopping."))

        assert [UnavailableError] * 2 == await outcomes(callers)
        with pytest.raises(UnavailableError):
            await use(models, "c")
        assert (["a"], {}) == (loader.loads, models.loads())

    run(story())


@pytest.mark.parametrize("seed", range(4))
def test_many_callers_at_random_find_what_they_asked_for(seed: int) -> None:
    """Callers that stay, give up or leave, broken or leaking models: none is closed in use, memory stays within."""
    # NOTE: looked at after each of 3,000 requests: no more memory than the budget, no lease at the end
    dice = random.Random(seed)

    async def story() -> None:
        sizes = {f"model-{index}": dice.randint(1, 30) for index in range(20)}
        loader = CountingLoader(sizes=sizes, broken={"model-3"})
        models = registry(loader, budget=180, idle_timeout=dice.choice([0, 3]))
        models.pin("model-0")

        async def client() -> None:
            for _ in range(375):
                model_id = dice.choice(list(sizes))
                asking = asyncio.create_task(use(models, model_id, dice.choice([0, 0.1, 2]), dice.choice([0, 0.5, 30])))
                if dice.random() < 0.1:
                    await asyncio.sleep(dice.random() * 3)
                    asking.cancel()
                (outcome,) = await outcomes([asking])
                served = FolderError if model_id in loader.broken else str
                assert outcome in (served, TimeoutError, asyncio.CancelledError)
                assert loader.measure() <= 180

        await asyncio.gather(*(client() for _ in range(8)))
        await asyncio.sleep(100)

        assert (0, 0, {}) == (leases(models), models.waiting, models.loads())
        assert loader.peak <= 180
        assert {one.model_id for one in loader.alive} == set(ids(models))
        assert min(len(loader.closes), models.counts.evictions) > 20
        assert "model-3" not in ids(models)

    run(story())


def beside(models: Registry[Thing], model_id: str) -> Coroutine[Any, Any, None]:
    """Loads a model beside those that serve."""
    return models.load_beside(ResolvedModel(model_id, model_id, None))


def test_a_model_beside_others_evicts_none() -> None:
    """Where there is no room for it, also where that shows only once it is loaded."""

    async def story() -> None:
        loader = CountingLoader(surprises={"surprise": 10})
        models = registry(loader, budget=125)
        await use(models, "a")
        await beside(models, "small")
        assert (["a", "small"], 0, 0) == (ids(models), leases(models), models.waiting)
        with pytest.raises(MemoryInUseError):
            await beside(models, "b")
        assert ["a", "small"] == ids(models)

        models.replace("small")
        await asyncio.sleep(1)
        with pytest.raises(MemoryInUseError):
            await beside(models, "surprise")
        assert ["a"] == ids(models)
        assert models.failure("surprise") is None
        assert "b" == await use(models, "b")

    run(story())


def test_a_model_beside_others_leaves_first() -> None:
    """Before those that serve, however recently it was used; one that a request has loaded serves."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader, budget=125)
        await use(models, "a")
        await beside(models, "b")
        await use(models, "b")
        await use(models, "c")
        assert ["a", "c"] == ids(models)
        await use(models, "b")
        assert ["c", "b"] == ids(models)

    run(story())


def test_who_joins_a_load_beside_others_gets_the_model() -> None:
    """And room is made for it, as for any request."""

    async def story() -> None:
        loader = CountingLoader()
        models = registry(loader, budget=115)
        first = asyncio.create_task(use(models, "a", 1))
        await asyncio.sleep(0)
        load = asyncio.create_task(beside(models, "b"))
        await asyncio.sleep(0)
        assert "b" == await use(models, "b")
        await asyncio.gather(first, load)
        assert ["b"] == ids(models)
        await beside(models, "b")

        models.close(UnavailableError("It stops."))
        with pytest.raises(UnavailableError):
            await beside(models, "c")

    run(story())
