"""Real models that come and go inside one process: their memory, its figures, and its release."""

import asyncio
import gc
import json
import random
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from labeld.cache.answers import AnswerCache
from labeld.cache.memory import MemoryStore
from labeld.config.precision import parse_precisions
from labeld.config.settings import ByteSize, Queue, Residency, Settings
from labeld.config.settings import Folders as FolderSettings
from labeld.errors import ModelLoadingError, ModelNotFoundError, OverloadedError
from labeld.lifecycle.folder_check import FolderCheck
from labeld.lifecycle.loader import PEAK, LoadedModel, ModelLoader
from labeld.lifecycle.model import LoadOptions, weight_bytes
from labeld.repository.resolver import Resolver
from labeld.scheduler.dispatcher import Dispatcher
from labeld.service.build import open_resolver
from labeld.service.service import Service
from labeld.service.state import ModelState
from labeld.system import memory
from labeld.types import ClassifyRequest, Options, Text
from tests.support.classify import classify
from tests.support.more_models import variants, with_ballast
from tests.support.tiny_models import BERT

pytestmark = pytest.mark.slow

TEXT = "I like you. I love you"
WAIT = Options(wait_for_model=True)
REQUEST = ClassifyRequest((Text(TEXT),), options=WAIT)
MIB = 1024 * 1024


class GatedLoader(ModelLoader):
    """The loader, which begins a load only while its gate is open."""

    def __init__(self, resolver: Resolver, dispatcher: Dispatcher, options: LoadOptions) -> None:
        super().__init__(resolver, dispatcher, options, unchecked(options))
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, key: str) -> LoadedModel:
        """The model, when the gate is open."""
        await self.gate.wait()
        return await super().load(key)


def unchecked(options: LoadOptions) -> FolderCheck:
    """As in a program of somebody else, where no folder is read by another process first."""
    return FolderCheck(options.cache_dir, options.stopping, serves=False)


@asynccontextmanager
async def opened(
    root: Path,
    cache_dir: Path,
    budget: int = 10**12,
    max_in_flight: int = 512,
    cache_bytes: int = 0,
    *,
    measure: Callable[[], int] = lambda: 0,
    **limits: float,
) -> AsyncIterator[tuple[Service, GatedLoader]]:
    """A service of the models in a folder, of whose memory only what its models are known to take counts."""
    settings = Settings(
        residency=Residency(memory_budget=ByteSize(f"{budget}"), **limits), queue=Queue(max_in_flight=max_in_flight)
    )
    dispatcher = Dispatcher(settings.compute, settings.queue, 1)
    resolver = open_resolver(Settings(folders=FolderSettings(models_dir=root, cache_dir=cache_dir)), "off")
    options = LoadOptions(1, 1, MIB, 4096, cache_dir)
    loader = GatedLoader(resolver, dispatcher, options)
    cache = AnswerCache(MemoryStore(cache_bytes, 60.0))
    service = Service(resolver, dispatcher, loader, cache, settings, measure=measure)
    dispatcher.start()
    try:
        yield service, loader
    finally:
        await service.close()


async def until(condition) -> None:
    """Lets the loop run until a condition comes true."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def loaded(service: Service) -> list[str]:
    """The loaded models, the least recently used first."""
    return [one.model_id for one in service.loaded_models()]


def mapped_files(folder: Path) -> set[str]:
    """Files below this folder that are mapped into this process."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return {line.split(maxsplit=5)[-1] for line in lines if str(folder) in line}


@contextmanager
def no_collector() -> Iterator[None]:
    """Without the cycle collector: what is freed is freed because nobody holds it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_eight_clients_ask_twelve_models_at_random(models_dir: Path, tmp_path: Path) -> None:
    """With memory for four, every answer is that model's own; nobody holds a lease at the end."""
    ids = variants(models_dir / "bare", tmp_path, 12)
    known = {}
    for model_id in ids:
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / model_id, dtype=torch.float32)
        tokens = AutoTokenizer.from_pretrained(tmp_path / model_id)(TEXT, return_tensors="pt")
        with torch.no_grad():
            known[model_id] = model(**tokens).logits.softmax(-1)[0].tolist()
    size = weight_bytes(tmp_path / ids[0])
    dice = random.Random(5)

    async def client(service: Service) -> None:
        for _ in range(5):
            model_id = dice.choice(ids)
            (answer,) = (await classify(service, model_id, REQUEST)).answers
            assert {f"LABEL_{label}": score for label, score in enumerate(known[model_id])} == pytest.approx(
                {one["label"]: one["score"] for one in json.loads(answer.encoded)}, abs=1e-5
            )
            assert sum(one.bytes for one in service.loaded_models()) <= 4 * size

    async def story() -> None:
        async with opened(tmp_path, tmp_path / "cache", int(size * (3 + PEAK["float32"]))) as (service, _):
            await asyncio.gather(*(client(service) for _ in range(8)))

            assert 4 == len(loaded(service))
            assert [0] * 4 == [one.leases for one in service.loaded_models()]
            assert service.counts.loads - service.counts.evictions == 4
            assert service.counts.evictions > 6

    assert 12 == len({str(scores) for scores in known.values()})
    asyncio.run(story())


def test_a_remembered_answer_does_not_wake_an_evicted_model(models_dir: Path, tmp_path: Path) -> None:
    """With memory for one of two models, both are answered in turn from the cache."""
    ids = variants(models_dir / "bare", tmp_path, 2)
    size = weight_bytes(tmp_path / ids[0])

    async def story() -> None:
        async with opened(tmp_path, tmp_path / "cache", int(size * (PEAK["float32"] + 0.5)), cache_bytes=MIB) as (
            service,
            _,
        ):
            first = [await classify(service, model_id, REQUEST) for model_id in ids]
            again = [await classify(service, model_id, REQUEST) for model_id in ids]

            assert (["cpu"] * 2, ["cache"] * 2) == tuple([one.compute_type for one in some] for some in (first, again))
            assert [one.answers for one in first] == [one.answers for one in again]
            assert (2, 1) == (service.counts.loads, service.counts.evictions)

    asyncio.run(story())


def test_thirty_models_that_left_leave_nothing_behind(models_dir: Path, tmp_path: Path) -> None:
    """Neither memory nor objects, files or threads, though nobody collects cycles."""
    ids = [f"org/{name}" for name in ("one", "two")]
    for model_id in ids:
        with_ballast(models_dir / "org/bert", tmp_path / model_id, MIB)
    size = weight_bytes(tmp_path / ids[0])
    engines: list[weakref.ref] = []
    used, threads = [], []

    async def story() -> None:
        async with opened(tmp_path, tmp_path / "cache", int(size * (PEAK["float32"] + 0.5))) as (service, _):
            for turn in range(36):
                async with service.lease(service.resolve(ids[turn % 2]), WAIT) as one:
                    engines.extend((weakref.ref(one.model.engine), weakref.ref(one.model.encoder.tokenizer)))
                del one
                await classify(service, ids[turn % 2], REQUEST)
                used.append(memory.used())
                threads.append(threading.active_count())
            assert (36, 35) == (service.counts.loads, service.counts.evictions)

            assert [False] * 70 == [one() is not None for one in engines[:-2]]
            assert 1 == len(mapped_files(tmp_path))  # that of the second model, or its copy

    with no_collector():
        asyncio.run(story())
    assert max(used[-5:]) - max(used[5:10]) < 12 * MIB
    assert threads[-1] <= threads[5] + 1  # the second thread that tokenises begins when the first is busy


class Cycle:
    """What only the garbage collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_python_s_garbage_refuses_no_model(models_dir: Path, tmp_path: Path) -> None:
    """It is collected before a model counts as too large."""
    garbage: list[weakref.ref] = []

    async def story() -> None:
        budget = 10**9
        async with opened(models_dir, tmp_path, budget, measure=lambda: budget if garbage and garbage[0]() else 0) as (
            service,
            _,
        ):
            garbage.append(weakref.ref(Cycle()))
            assert 1 == len((await classify(service, "org/bert", REQUEST)).answers)
            assert garbage[0]() is None

    with no_collector():
        asyncio.run(story())


def test_where_a_model_stands(models_dir: Path, tmp_path: Path) -> None:
    """From Loadable over Loading to Loaded, and what the two kinds of failure are called."""
    for name in ("bert", "huge", "broken"):
        with_ballast(models_dir / "org/bert", tmp_path / "org" / name, 4 * MIB if name != "huge" else 400 * MIB)
    (tmp_path / "org/broken/tokenizer.json").write_text("{}")

    async def story() -> None:
        async with opened(tmp_path, tmp_path / "cache", 100 * MIB, load_grace=0) as (service, loader):
            assert ("Loadable", 20.0, None) == tuple(getattr(state(service, "bert"), one) for one in FIELDS)
            loader.gate.clear()
            for name in ("bert", "broken", "huge"):
                with pytest.raises(ModelLoadingError) as refused:
                    await classify(service, name, ClassifyRequest((Text(TEXT),)))
                assert name == refused.value.model_id
            await until(lambda: state(service, "org/bert").estimated_time < 20.0)
            assert "Loading" == state(service, "org/bert").state
            assert state(service, "org/broken").estimated_time > state(service, "org/bert").estimated_time > 15
            loader.gate.set()
            await until(lambda: state(service, "org/huge").state not in ("Loadable", "Loading"))

            assert ("Loaded", None, None) == tuple(getattr(state(service, "bert"), one) for one in FIELDS)
            assert ("error", None) == (state(service, "broken").state, state(service, "broken").estimated_time)
            assert "tokenizer.json" in state(service, "broken").error
            assert "TooBig" == state(service, "huge").state
            assert "too large" in state(service, "huge").error
            with pytest.raises(ModelNotFoundError):
                state(service, "no/such")
            assert (1, 2, 0) == (service.counts.loads, service.counts.failures, service.counts.evictions)
            (entry,) = service.loaded_models()
            assert ("org/bert", 0) == (entry.model_id, entry.leases)
            words = 4 * BERT["vocab_size"] * BERT["hidden_size"]  # which stay in their file
            assert entry.bytes == weight_bytes(tmp_path / "org/bert") - words
        async with opened(tmp_path, tmp_path / "cache", load_grace=0) as (service, _):
            assert 0 < state(service, "org/bert").estimated_time < 20

    asyncio.run(story())


def test_a_precision_reserves_what_it_needs(models_dir: Path, tmp_path: Path) -> None:
    """A model in int8 less than one in float32, by its own id; where a trial may come, as much as float32."""
    resolver = open_resolver(Settings(folders=FolderSettings(models_dir=models_dir)), "off")
    dispatcher = Dispatcher(Settings().compute, Queue(), 1)

    async def reserved(setting: str) -> int:
        options = LoadOptions(1, 1, MIB, 4096, tmp_path, parse_precisions(setting))
        loader = ModelLoader(resolver, dispatcher, options, unchecked(options))
        try:
            return await loader.prepare(resolver.find("org/bert"))
        finally:
            loader.shutdown()

    size = weight_bytes(models_dir / "org/bert")
    for setting, expected in (
        ("float32", PEAK["float32"]),
        ("auto", PEAK["float32"]),
        ("float32,org/bert=int8", PEAK["int8"]),
        ("int8,org/bert=bfloat16", PEAK["bfloat16"]),
    ):
        assert int(size * expected) == asyncio.run(reserved(setting)), setting
    assert PEAK["int8"] < PEAK["bfloat16"] < PEAK["float32"]


FIELDS = ("state", "estimated_time", "error")


def state(service: Service, name: str) -> ModelState:
    """Where the model that a caller names stands."""
    return service.state(service.resolve(name))


def test_who_waits_for_a_model_keeps_nobody_from_another(models_dir: Path, tmp_path: Path) -> None:
    """Two wait where one may be answered at once: a third is answered; but only two may wait."""

    async def ask(service: Service, model_id: str) -> int:
        with service.admission:
            return len((await classify(service, model_id, REQUEST)).answers)

    async def story() -> None:
        async with opened(models_dir, tmp_path, max_in_flight=1, max_waiting=2) as (service, loader):
            assert 1 == await ask(service, "org/bert")
            loader.gate.clear()
            waiting = []
            for name in ("org/distilbert", "bare"):
                waiting.append(asyncio.create_task(ask(service, name)))
                await until(lambda: service.usage().waiting == len(waiting))
            assert 1 == await ask(service, "org/bert")
            with pytest.raises(OverloadedError, match="max_waiting"):
                await ask(service, "org/one-label")
            with service.admission, pytest.raises(OverloadedError, match="max_in_flight"):
                await ask(service, "org/bert")
            service.admission.require_room()
            with service.admission, pytest.raises(OverloadedError, match="max_in_flight"):
                service.admission.require_room()
            loader.gate.set()

            assert [1, 1] == await asyncio.gather(*waiting)
            assert {"org/bert", "org/distilbert", "bare"} == {*loaded(service)}

    asyncio.run(story())


def test_a_caller_that_leaves_while_the_model_loads(models_dir: Path, tmp_path: Path) -> None:
    """Leaves the queue at once; the load goes on."""

    async def story() -> None:
        async with opened(models_dir, tmp_path) as (service, loader):
            loader.gate.clear()
            leaving = asyncio.create_task(classify(service, "bare", REQUEST))
            await until(lambda: service.usage().waiting == 1)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            assert 0 == service.usage().waiting
            loader.gate.set()
            await until(lambda: loaded(service) == ["bare"])

            assert [0] == [one.leases for one in service.loaded_models()]

    asyncio.run(story())
