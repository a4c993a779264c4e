"""Faults: a Hub that misbehaves in every known way. Nothing unverified is loaded, and requests succeed afterwards."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.lib.report import Figure, Plan
from labeld.config.load import load
from labeld.config.settings import Settings
from labeld.errors import LabeldError
from labeld.repository.errors import HubFailedError
from labeld.repository.folders import BUNDLED
from labeld.service.build import open_service
from labeld.service.service import Service
from labeld.types import ClassifyRequest, Options, Text
from tests.repository.test_hub_client import FAULTS
from tests.support.local_hub import Fault, local_hub

RUNS = 10
MODEL = BUNDLED / "labeld/language-20"
REQUEST = ClassifyRequest((Text("Guten Morgen"),), options=Options(wait_for_model=True))
HUB_TIMEOUT = 1.0


def measure(plan: Plan) -> list[Figure]:
    """Each kind of fault of the tests, during which several new models are requested at once, and again after it."""
    found = {"loaded": 0, "left": 0, "refused": 0, "recovered": 0}
    runs = 2 if plan.quick else RUNS
    for fault in plan.progress.track(list(_faults()), description="faults: of a Hub"):
        for name, count in asyncio.run(_outcomes(fault, runs)).items():
            found[name] += count
    kinds = len(FAULTS)
    return [
        Figure("faults", f"{kinds} kinds, {runs} runs: models loaded meanwhile", found["loaded"], "", 0),
        Figure("faults", "folders in the store meanwhile, or other bytes after it", found["left"], "", 0),
        Figure("faults", "requests answered with HubFailedError", found["refused"], "", kinds * runs, "at least"),
        Figure("faults", "next requests that are answered", found["recovered"], "", kinds * runs, "at least"),
    ]


def _faults() -> Iterator[Fault]:
    """As in the tests, on the files that this model has."""
    for fault in FAULTS:
        yield replace(fault, on="tokenizer.json") if fault.on == "vocab.txt" else replace(fault)


async def _outcomes(fault: Fault, runs: int) -> dict[str, int]:
    """Outcomes of `runs` models, each requested during a fault and after it, by name."""
    files = {path.name: path.read_bytes() for path in MODEL.iterdir()}
    ids = [f"org/model-{run}" for run in range(runs)]
    with tempfile.TemporaryDirectory() as folder, local_hub() as hub, local_hub() as other:
        for model_id in (*ids, "org/model"):  # the last is where one of the faults redirects to
            hub.add(model_id, files)
        port = other.url.rpartition(":")[2]
        fault.headers = {name: value.format(port=port) for name, value in fault.headers.items()}
        settings = load({"cache_dir": Path(folder), "hub_timeout": HUB_TIMEOUT}, {"HF_ENDPOINT": hub.url})
        async with open_service(settings) as service:
            hub.fault = fault
            during = await asyncio.gather(*(_ask(service, model_id) for model_id in ids))
            loaded, left = service.counts.loads, len(_stored(settings)) + len(other.requests)
            hub.fault = None
            for model_id in ids:
                while service.state(service.resolve(model_id)).state == "error":  # until it may be tried again
                    await asyncio.sleep(0.05)
            after = await asyncio.gather(*(_ask(service, model_id) for model_id in ids))
            right = sum(_same(path, files) for path in _stored(settings))
    return {
        "loaded": loaded,
        "left": left + runs - right,
        "refused": sum(isinstance(one, HubFailedError) for one in during),
        "recovered": sum(one is None for one in after),
    }


async def _ask(service: Service, model_id: str) -> Exception | None:
    """The error that a request for a model ends with; None when it is answered."""
    try:
        model = service.resolve(model_id)
        await service.classify(model, service.look_up(model, REQUEST))
    except LabeldError as error:
        return error
    return None


def _stored(settings: Settings) -> list[Path]:
    """The models in the store, unfinished downloads apart."""
    return [path for path in settings.store_dir.glob("*/*") if path.is_dir() and path.suffix != ".partial"]


def _same(folder: Path, files: dict[str, bytes]) -> bool:
    """Whether the files of a model in the store have the Hub's bytes."""
    return all(path.read_bytes() == files[path.name] for path in folder.iterdir() if path.name in files)
