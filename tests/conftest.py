"""What several test files share: a folder of small models, a server of them, and transformers' answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from labeld.auth.database_url import Location, locate
from tests.support import tiny_models
from tests.support.browser import chromium, visitor
from tests.support.hub_models import classifier
from tests.support.local_hub import LocalHub, local_hub
from tests.support.postgres_process import Postgres, postgres_server
from tests.support.server_process import Server, serving

__all__ = ["chromium", "visitor"]
"""Fixtures from elsewhere."""

NO_CACHE = ("--cache-bytes", "0")
"""So that every answer is computed: what most tests are about."""


@pytest.fixture(scope="session", autouse=True)
def _no_access_tokens_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the access tokens of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELD_TOKENS_DB", str(tmp_path_factory.mktemp("keys") / "tokens.sqlite3"))
        yield


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of small models."""
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
def hub() -> Iterator[LocalHub]:
    """A Hub with one classifier, org/model, whose weights are noise."""
    with local_hub() as running:
        running.add("org/model", classifier())
        yield running


@pytest.fixture(scope="session")
def expected(models_dir: Path) -> Callable[..., list[list[dict[str, Any]]]]:
    """Rankings of transformers: `expected(model, texts, **parameters)`; a text is a string or a pair as a dict."""
    pipelines: dict[str, Any] = {}

    def ask(model: str, texts: list[Any], **parameters: Any) -> list[list[dict[str, Any]]]:
        if model not in pipelines:
            loaded = AutoModelForSequenceClassification.from_pretrained(models_dir / model, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(models_dir / model)
            pipelines[model] = pipeline("text-classification", model=loaded, tokenizer=tokenizer)
        return [pipelines[model](text, **{"top_k": None, **parameters}) for text in texts]

    return ask


def same(actual: list[list[dict[str, Any]]], reference: list[list[dict[str, Any]]]) -> None:
    """Asserts that rankings have the same labels in the same order, and scores within 1e-5."""
    assert [[one["label"] for one in ranking] for ranking in actual] == [
        [one["label"] for one in ranking] for ranking in reference
    ]
    for ours, theirs in zip(actual, reference, strict=True):
        assert [one["score"] for one in ours] == pytest.approx([one["score"] for one in theirs], abs=1e-5)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests that do not stop it."""
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def token_database(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """Where access tokens can be kept: a SQLite file that is not there yet, then an empty PostgreSQL database."""
    if request.param == "sqlite":
        return locate(str(tmp_path / "new" / "tokens.sqlite3"))
    return locate(request.getfixturevalue("postgres").database())
