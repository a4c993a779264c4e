"""YAML for the configuration file is read by the server as it was meant, whatever labels are called."""

from pathlib import Path

import pytest

from labeld.config.file import read_file
from labeld.config.models_file import Candidate, ModelEntry, Windows, ZeroShotDefaults
from labeld.evaluation.configuration import as_yaml, default_alias

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
    """Those that YAML would take for something else, too; the alias keeps all that it has."""
    values = {label: (index + 1) / 1e5 for index, label in enumerate(LABELS)}
    entry = ModelEntry(
        "team/mood",
        "org/model@main",
        "int8",
        pin=True,
        windows=Windows(stride=16, aggregate="mean"),
        rename={"LABEL_0": "no"},
        thresholds=values,
        temperature=1.25,
        zero_shot=ZeroShotDefaults("It is {}.", multi_label=False, candidate_labels=LABELS[:9]),
        shadow=Candidate("org/other", 0.5),
        split=Candidate("org/third@v1", 0.1),
    )
    path = tmp_path / "labeld.yaml"

    path.write_text(as_yaml(entry, ["From x.\nmodels: {}"]))

    assert {"team/mood": entry} == read_file(path).models.models


@pytest.mark.parametrize("thresholds", [None, 0.9])
def test_a_single_threshold_stays_one(tmp_path: Path, thresholds: float | None) -> None:
    """And what an alias does not have is not written."""
    entry = ModelEntry("mood", "org/model", thresholds=thresholds)
    path = tmp_path / "labeld.yaml"
    path.write_text(as_yaml(entry, []))

    assert {"mood": entry} == read_file(path).models.models
    assert 3 + (thresholds is not None) == len(path.read_text().splitlines())


@pytest.mark.parametrize(
    ("model", "alias"), [("labeld/sentiment-en", "sentiment-en"), ("org/name@v1", "name"), ("name", "name-tuned")]
)
def test_an_alias_is_made_of_the_id(model: str, alias: str) -> None:
    """It is never the id of the model itself."""
    assert alias == default_alias(model)
