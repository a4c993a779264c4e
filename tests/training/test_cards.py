"""The figures of the bundled models' cards are those that `training/evaluate.py` prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labeld.repository.folders import BUNDLED
from tests.support.paths import ROOT
from tests.support.tokenizer_folders import SHARED

DATA = {"sentiment-en": "sst2", "language-20": "langid", "emotions-28": "emotions"}


@pytest.mark.minutes
@pytest.mark.parametrize(("model", "data"), DATA.items())
def test_every_figure_of_a_card_is_printed(model: str, data: str) -> None:
    """Each line of the printed tables is a line of the card, and the card has no other table."""
    if not (SHARED / data).exists():
        pytest.skip(f"there is no folder {data} with the data of the recipes")
    folder = BUNDLED / "labeld" / model
    command = [sys.executable, ROOT / "training/evaluate.py", folder, "--data", SHARED / data, "--threads", "1"]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )

    assert 0 == done.returncode, done.stderr
    printed = [line for line in done.stdout.splitlines() if line]
    assert len(printed) >= 4
    assert printed == [line for line in tables(folder) if line in printed]
    assert {*tables(folder)} - {*printed} <= not_printed(folder)


def tables(folder: Path) -> list[str]:
    """The lines of all tables of a card."""
    return [line for line in (folder / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]


def not_printed(folder: Path) -> set[str]:
    """Lines below the card's heading for what was measured elsewhere, on data that is not here."""
    _, _, elsewhere = (folder / "README.md").read_text(encoding="utf-8").partition("### Measured elsewhere\n")
    return {line for line in elsewhere.partition("\n## ")[0].splitlines() if line.startswith("|")}
