"""YAML for the configuration file is read by the server as it was meant, whatever labels are called."""

from pathlib import Path

import pytest

from labeld.config.file import read_file
from labeld.config.models_file import ModelEntry
from labeld.evaluation.configuration import as_yaml, default_alias
from labeld.evaluation.thresholds import Threshold

LABELS = (
    "no",
    "010",
    "~",
    "a: b",
    "- x",
    'it\'s "so"',
    "#1",
    "日本語",
    "line\nbreak",
    "x" * 150,
    "1e5",
    " space ",
    "&a *b",
)


def test_every_label_keeps_its_name_and_its_threshold(tmp_path: Path) -> None:
    """Those that YAML would take for something else, too; the alias keeps its names of labels and its precision."""
    values = {label: (index + 1) / 1e5 for index, label in enumerate(LABELS)}
    chosen = [Threshold(label, value, True, 1.0, 1.0, 1.0, 1) for label, value in values.items()]
    entry = ModelEntry("team/mood", "org/model@main", "int8", rename={"LABEL_0": "no"}, temperature=3.0)
    path = tmp_path / "labeld.yaml"

    path.write_text(as_yaml(entry, 1.25, chosen, ["From x.\nmodels: {}"]))

    assert {
        "team/mood": ModelEntry(
            "team/mood", "org/model@main", "int8", rename={"LABEL_0": "no"}, thresholds=values, temperature=1.25
        )
    } == read_file(path).models.models


@pytest.mark.parametrize(
    ("model", "alias"), [("labeld/sentiment-en", "sentiment-en"), ("org/name@v1", "name"), ("name", "name-tuned")]
)
def test_an_alias_is_made_of_the_id(model: str, alias: str) -> None:
    """It is never the id of the model itself."""
    assert alias == default_alias(model)
