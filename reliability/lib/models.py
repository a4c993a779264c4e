"""Small real models, and transformers' answers to texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib.known import Scores, known_scores
from benchmarks.lib.reference import library

CLASSIFIERS = ("org/bert", "org/distilbert", "a/same")
"""Models with a softmax over several labels, whose answers to one text differ."""


def tiny_models(folder: Path) -> Path:
    """A folder of the tests' models, of which some are of NLI, one has a single label and one equal labels."""
    library()  # which silences it
    from tests.support import dialect_bodies, tiny_models  # noqa: PLC0415  # torch, which takes seconds

    tiny_models.build_all(folder / "models")
    dialect_bodies.build_models(folder / "models")
    return folder / "models"


def unpacked_model(models: Path) -> str:
    """The id of a model of an architecture without a packed graph, which torch and transformers run."""
    from transformers import AlbertConfig, AlbertForSequenceClassification  # noqa: PLC0415  # torch, as above

    from tests.support import tiny_models  # noqa: PLC0415

    shape: dict[str, Any] = {**tiny_models.BERT, "embedding_size": 64}
    tiny_models.save(
        AlbertForSequenceClassification, AlbertConfig(**shape, id2label=tiny_models.NAMES), models / "org/albert"
    )
    return "org/albert"


def known(models: Path, texts: Sequence[str], model_ids: Sequence[str] = CLASSIFIERS) -> dict[str, list[Scores]]:
    """Transformers' scores of each text by each model, in the order of the texts."""
    return {model_id: known_scores(models / model_id, list(texts)) for model_id in model_ids}
