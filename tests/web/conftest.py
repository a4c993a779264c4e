"""A folder of models for each task."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def dialect_models(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the small models, with some of NLI and one of equal labels among them."""
    from tests.support.dialect_bodies import build_models  # imports torch, which takes seconds

    root = shutil.copytree(models_dir, tmp_path_factory.mktemp("dialect-models") / "models")
    build_models(root)
    return root
