"""`labeld serve` with an empty store and a Hub: a model is there by its name alone."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from huggingface_hub import InferenceClient

from labeld.config.load import load
from labeld.errors import StoreError
from labeld.repository.store import Store
from labeld.service.build import open_service
from labeld.types import ClassifyRequest, Text
from tests.support.classify import classify
from tests.support.hub_models import classifier, resolver
from tests.support.local_hub import Fault, LocalHub, local_hub
from tests.support.rankings import same
from tests.support.server_process import Server, serving
from tests.support.tiny_models import TEXTS, VOCABULARY_ONLY

MODELS = ("org/bert", "org/distilbert", VOCABULARY_ONLY)


@pytest.fixture(scope="module")
def full_hub(models_dir: Path) -> Iterator[LocalHub]:
    """A Hub with three real models, and some that cannot be had."""
    with local_hub() as hub:
        for model_id in MODELS:
            hub.add(model_id, {path.name: path.read_bytes() for path in (models_dir / model_id).iterdir()})
        hub.add("org/gated", classifier(1), gated=True)
        hub.add("org/large", classifier(2, 3_000_000))
        hub.add("org/other", classifier(3, model_type="gpt9"))
        yield hub


@pytest.fixture(scope="module")
def hub_server(full_hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on loopback that asks this Hub for what it does not have."""
    folder = tmp_path_factory.mktemp("hub-server")
    with serving(folder, HF_ENDPOINT=full_hub.url, LABELD_HUB="auto", LABELD_MAX_DOWNLOAD="2MB") as running:
        yield running


def test_three_models_are_there_by_name_alone(
    full_hub: LocalHub, hub_server: Server, expected: Callable[..., list[list[dict[str, Any]]]]
) -> None:
    """To an unmodified client; with transformers' answers, the Hub's commit as x-sha, and one download each."""
    for model_id in MODELS:
        client = InferenceClient(model=f"{hub_server.url}/models/{model_id}", token="hf_clients_own")
        answers = [[dict(one) for one in client.text_classification(text)] for text in TEXTS]
        reply = hub_server.post(f"/models/{model_id}", json={"inputs": "a"})

        same(answers, expected(model_id, TEXTS))
        assert full_hub.repositories[model_id].branches["main"] == reply.headers["x-sha"]
        assert 1 == len(full_hub.asked(f"/{model_id}/resolve/{reply.headers['x-sha']}/model.safetensors"))
    assert [] == [headers for _, _, headers in full_hub.requests if "hf_clients_own" in json.dumps(headers)]


@pytest.mark.parametrize(
    ("model_id", "status", "sentence"),
    [
        ("org/none", 404, "Model org/none does not exist"),
        ("none", 404, "Model none does not exist"),
        ("org/bert@none", 404, "Model org/bert@none does not exist"),
        ("org/gated", 403, "Access to model org/gated is restricted"),
        ("org/large", 403, "is too large to be loaded automatically (3MB > 2MB, setting max_download)"),
        ("org/other", 500, "architectures is"),
    ],
)
def test_what_the_hub_does_not_give_is_said(
    hub_server: Server, full_hub: LocalHub, model_id: str, status: int, sentence: str
) -> None:
    """With the contract's status and sentence."""
    reply = hub_server.post(f"/models/{model_id}", json={"inputs": "a"})

    assert (status, True) == (reply.status_code, sentence in reply.json()["error"]), reply.text
    assert ("GatedRepo" if model_id == "org/gated" else None) == reply.headers.get("x-error-code")
    assert [] == full_hub.asked(f"/{model_id}/resolve/{'0' * 40}/model.safetensors")


def test_a_failing_hub_is_a_502(hub_server: Server, full_hub: LocalHub) -> None:
    """With a time to come back."""
    full_hub.fault = Fault("status", status=503)
    reply = hub_server.post("/models/org/another", json={"inputs": "a"})
    full_hub.fault = None

    assert (502, "5") == (reply.status_code, reply.headers["retry-after"])
    assert "the Hub answers with status 503" in reply.json()["error"]


def test_a_store_serves_without_the_hub(full_hub: LocalHub, tmp_path: Path) -> None:
    """A server that is offline connects to nobody."""
    store = resolver(full_hub, tmp_path)
    commit = store.fetch("org/bert").commit
    asked = len(full_hub.requests)
    variables = {"HF_ENDPOINT": full_hub.url, "LABELD_STORE_DIR": str(tmp_path / "store"), "LABELD_HUB": "any"}
    with serving(tmp_path, HF_HUB_OFFLINE="1", **variables) as server:
        found = server.post("/models/org/bert", json={"inputs": "a"})
        missing = server.post("/models/org/distilbert", json={"inputs": "a"})

    assert (200, commit, asked) == (found.status_code, found.headers["x-sha"], len(full_hub.requests))
    assert (404, True) == (missing.status_code, "offline" in missing.json()["error"])


def test_a_model_that_is_unloaded_may_leave_the_store(full_hub: LocalHub, tmp_path: Path) -> None:
    """While it is loaded it may not; afterwards the next request downloads it again."""
    environment = {"HF_ENDPOINT": full_hub.url, "LABELD_CACHE_DIR": str(tmp_path), "LABELD_IDLE_TIMEOUT": "0.3"}
    settings = load({"cache_bytes": 0}, environment)
    store = Store(settings.store_dir, settings.hub.store_limit)
    request = ClassifyRequest((Text("a"),))

    async def run() -> list[str]:
        async with open_service(settings) as service:
            first = await classify(service, "org/bert", request)
            with pytest.raises(StoreError, match="in use"):
                store.remove("org/bert", threading.Event())
            async with asyncio.timeout(30):
                while any(stored.folder.exists() for stored in store.list()):
                    await asyncio.sleep(0.05)
                    with suppress(StoreError):
                        store.remove("org/bert", threading.Event())
            return [first.revision, (await classify(service, "org/bert", request)).revision]

    assert [full_hub.repositories["org/bert"].branches["main"]] * 2 == asyncio.run(run())


def test_hostile_paths_reach_no_hub(hub_server: Server, full_hub: LocalHub) -> None:
    """Whatever stands behind /models/ is 400 or 404."""
    asked = len(full_hub.requests)
    paths = (
        "..%2f..%2fetc",
        "%2e%2e/%2e%2e/x",
        "org%5cbert",
        "org/bert%0a",
        "org/bert%00",
        "http:%2f%2f127.0.0.1%2fx",
        "a" * 5000,
    )

    for path in paths:
        reply = requests.post(f"{hub_server.url}/models/{path}", json={"inputs": "a"}, timeout=60)
        assert reply.status_code in (400, 404), path

    assert asked == len(full_hub.requests)
