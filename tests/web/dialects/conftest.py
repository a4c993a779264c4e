"""A server of models for each task, and the answers of transformers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server_process import NO_CACHE, Server, serving

References = Callable[[str], "object"]


@pytest.fixture(scope="session")
def dialects(dialect_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose default is org/bert."""
    arguments = ("org/bert", "--models-dir", str(dialect_models), *NO_CACHE)
    with serving(tmp_path_factory.mktemp("dialects"), *arguments) as running:
        yield running


@pytest.fixture(scope="session")
def reference(dialect_models: Path) -> References:
    """A model by its id, in transformers."""
    from tests.support.dialect_references import Reference

    known: dict[str, Reference] = {}

    def find(model: str) -> Reference:
        if model not in known:
            known[model] = Reference(dialect_models / model)
        return known[model]

    return find
