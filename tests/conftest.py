"""Shared fixtures: a folder of small models, a server of them, and transformers' answers."""

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis

from labeld.auth.database_url import Location, locate
from tests.support.browser import chromium, visitor
from tests.support.client_packages import inference_package, node, old_python
from tests.support.hub_models import classifier
from tests.support.local_hub import LocalHub, local_hub
from tests.support.paths import TESTS
from tests.support.postgres_process import Postgres, postgres_server
from tests.support.redis_process import redis_server
from tests.support.server_process import NO_CACHE, Server, serving

__all__ = ["chromium", "inference_package", "node", "old_python", "visitor"]
"""Fixtures from elsewhere."""

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models: threads that wait for each other are slower than one

# Where bytecode is not kept, each process compiles labeld anew, and each worker every test: that is minutes in all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# how fast examples are made and tried is the machine's affair
hypothesis.settings.register_profile("labeld", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("labeld")

NEEDS = {
    "chromium": "browser",
    "dialects": "server",
    "inference_package": "node",
    "node": "node",
    "postgres": "postgres",
    "redis_url": "redis",
    "server": "server",
}
"""The marker of each test that takes the fixture, itself or through another one."""
SLOW = {"benchmarks", "engines"}
"""Folders of tests each of which computes with a model for seconds."""
STARTS = {"LABELD", "Probe", "probe", "run_labeld", "serving"}
"""Names that a module imports if its tests start processes of labeld."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by what they need, and puts those that take minutes first: no worker ends with one alone."""
    for item in items:
        assert isinstance(item, pytest.Function)
        markers = {marker for fixture, marker in NEEDS.items() if fixture in item.fixturenames}
        if STARTS & vars(item.module).keys():
            markers.add("server")
        if item.path.relative_to(TESTS).parts[0] in SLOW:
            markers.add("slow")
        for marker in markers:
            item.add_marker(marker)
    items.sort(key=lambda item: item.get_closest_marker("minutes") is None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected is no garbage: nobody looks for some meanwhile, nor tests through all of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers more than there are cores, since tests that start processes wait for them a third of their time.

    Those without the marker `server` start none. One file or one test runs in this process, which has started sooner
    than workers have.
    """
    if len(config.args) == 1 and ".py" in config.args[0]:
        return 0
    return len(os.sched_getaffinity(0)) + 2 * ("server" not in config.option.markexpr)


@pytest.fixture(scope="session", autouse=True)
def _no_access_tokens_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the access tokens of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELD_TOKENS_DB", str(tmp_path_factory.mktemp("tokens") / "tokens.sqlite3"))
        yield


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of small models."""
    from tests.support import tiny_models  # imports torch, which takes seconds

    root = tmp_path_factory.mktemp("models")
    tiny_models.build_all(root)
    return root


@pytest.fixture(scope="session")
def server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the small models whose default is org/bert."""
    names = ("--hosts", "router.huggingface.co,hub.example.org,models.example")
    arguments = ("org/bert", "--models-dir", str(models_dir), *NO_CACHE, *names)
    with serving(tmp_path_factory.mktemp("server"), *arguments) as running:
        yield running


@pytest.fixture
def short_folder() -> Iterator[str]:
    """An empty folder with a short path, as sockets below it need."""
    with tempfile.TemporaryDirectory(prefix="short-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A Hub with one classifier, org/model, whose weights are noise."""
    with local_hub() as running:
        running.add("org/model", classifier())
        yield running


@pytest.fixture(scope="session")
def expected(models_dir: Path) -> Callable[..., list[list[dict[str, Any]]]]:
    """Rankings of transformers: `expected(model, texts, **parameters)`; a text is a string or a pair as a dict."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    pipelines: dict[str, Any] = {}

    def ask(model: str, texts: list[Any], **parameters: Any) -> list[list[dict[str, Any]]]:
        if model not in pipelines:
            loaded = AutoModelForSequenceClassification.from_pretrained(models_dir / model, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(models_dir / model)
            pipelines[model] = pipeline("text-classification", model=loaded, tokenizer=tokenizer)
        return [pipelines[model](text, **{"top_k": None, **parameters}) for text in texts]

    return ask


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests that do not stop it."""
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="session")
def _redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a redis-server for all tests that do not stop it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(_redis_process: str) -> str:
    """The URL of a Redis that is empty."""
    with redis.Redis.from_url(_redis_process) as client:
        client.flushall()
    return _redis_process


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def token_database(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """Where access tokens can be kept: a SQLite file that is not there yet, then an empty PostgreSQL database."""
    if request.param == "sqlite":
        return locate(str(tmp_path / "new" / "tokens.sqlite3"))
    return locate(request.getfixturevalue("postgres").database())
