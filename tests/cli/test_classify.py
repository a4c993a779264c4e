"""`labeld classify`: rankings as JSON lines, and errors in the words of the command line."""

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from labeld.repository.folders import DEFAULT_MODEL
from tests.support.command_line import labeld

LONG = "film " * 600
COMMAND = ("classify", "--model", "org/bert", "--threads", "1")


@pytest.fixture
def folders(models_dir: Path, tmp_path: Path) -> tuple[str, ...]:
    """The flags of a folder of models and of a cache."""
    return ("--models-dir", str(models_dir), "--cache-dir", str(tmp_path))


def test_a_long_text_names_the_flag_that_cuts_it(folders: tuple[str, ...]) -> None:
    """The text is counted from 1, as the lines of a file are."""
    ended = labeld(*COMMAND, *folders, "short", LONG)

    assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))
    assert ended.stderr.startswith("labeld: Text 2 is 602 tokens long, but the model takes at most 128: shorten it, ")
    assert ended.stderr.endswith("or add --truncation.\n")


def test_truncation_cuts_long_texts(folders: tuple[str, ...]) -> None:
    """The beginning of a long text is answered, as with `truncation` in a request."""
    cut, long = (labeld(*COMMAND, *folders, "--truncation", text) for text in ("film " * 510, LONG))

    assert (0, 0) == (cut.returncode, long.returncode)
    assert json.loads(cut.stdout) == json.loads(long.stdout)


def test_an_offline_machine_names_the_flag(tmp_path: Path) -> None:
    """A model that is not here is refused by the flag that keeps it away."""
    ended = labeld(
        "classify",
        "--model",
        "no/such",
        "--offline",
        "--cache-dir",
        str(tmp_path),
        "a text",
        LABELD_HUB="allowlist",
        LABELD_HUB_ALLOW="no/*",
    )

    assert (1, "") == (ended.returncode, ended.stdout)
    assert ended.stderr == (
        "labeld: Model no/such is not on this machine, and labeld does not ask the Hub for it: it is offline "
        "(--offline or HF_HUB_OFFLINE).\n"
    )


@pytest.mark.slow
def test_a_line_that_is_not_utf_8_is_named(folders: tuple[str, ...]) -> None:
    """Lines before it are answered; the sentence has its number, whatever the locale is."""
    ended = subprocess.run(
        [sys.executable, "-m", "labeld", *COMMAND, *folders],
        input=b"a film\r\n\xff\n",
        capture_output=True,
        env={"PATH": "", "PYTHONIOENCODING": "utf-8:strict"},
        check=False,
    )

    assert (1, b"labeld: Line 2 of standard input is not UTF-8: convert it, for example with iconv.\n") == (
        ended.returncode,
        ended.stderr,
    )


@pytest.mark.slow
def test_an_argument_that_is_not_utf_8_is_named(folders: tuple[str, ...]) -> None:
    """Nothing is loaded for it."""
    ended = subprocess.run(
        [sys.executable, "-m", "labeld", *COMMAND, *folders, "a film", b"\xff"], capture_output=True, check=False
    )

    assert (1, b"labeld: Text 2 is not UTF-8: convert it, for example with iconv.\n") == (
        ended.returncode,
        ended.stderr,
    )


def test_a_hyphen_is_standard_input(folders: tuple[str, ...], tmp_path: Path) -> None:
    """As for other commands; beside other texts it is a text."""
    (tmp_path / "texts").write_text("a film\n-\n")
    with (tmp_path / "texts").open() as file, patch.object(sys, "stdin", file):
        read = labeld(*COMMAND, *folders, "-")

    assert read.stdout == labeld(*COMMAND, *folders, "a film", "-").stdout
    assert 2 == len(read.stdout.splitlines())


def test_names_of_files_and_models_are_no_texts(folders: tuple[str, ...], tmp_path: Path) -> None:
    """They would be answered like any words, which nobody wants who gives one; standard input takes them."""
    (tmp_path / "rows.csv").write_text("text\na film\n")
    for name, flag in ((str(tmp_path / "rows.csv"), "--input"), ("org/bert", "--model"), (DEFAULT_MODEL, "--model")):
        ended = labeld(*COMMAND, *folders, "a film", name)

        assert (1, "", 1) == (ended.returncode, ended.stdout, len(ended.stderr.splitlines()))
        assert ended.stderr.startswith("labeld: Text 2 is the name of a ")
        assert flag in ended.stderr
    (tmp_path / "texts").write_text("org/bert\n")
    with (tmp_path / "texts").open() as file, patch.object(sys, "stdin", file):
        assert 0 == labeld(*COMMAND, *folders).returncode


@pytest.mark.parametrize("text", ["no such file.csv", "words " * 100 + ".csv", "labeld/sentiment", "org/"])
def test_words_that_look_like_a_name_are_texts(folders: tuple[str, ...], text: str) -> None:
    """Where no file and no model has it."""
    assert 0 == labeld(*COMMAND, *folders, "--truncation", text).returncode
