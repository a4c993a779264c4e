"""Whatever lies in a model folder by the name of a file, nothing waits for it and nothing reads it without end."""

import os
import re
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from labeld.checkpoint.file_names import CONFIG, TOKENIZER, WEIGHTS
from labeld.checkpoint.model_card import NAME, Card, read_card
from labeld.checkpoint.plain_file import TEXT_LIMIT, open_plain, read_plain, require_plain
from labeld.checkpoint.revision import folder_revision
from labeld.errors import FolderError
from labeld.lifecycle.model import LoadOptions, ModelFolder, check_folder, weight_bytes
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL

SECONDS = 30.0
"""Until a thread counts as stuck; on a busy machine a load takes some."""


def pipe(path: Path) -> None:
    """A named pipe that nobody writes to."""
    os.mkfifo(path)


def endless(path: Path) -> None:
    """A device that never ends."""
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    """A socket."""
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # its name must be short
        made.bind(path.name)


def enormous(path: Path) -> None:
    """A file of a terabyte that takes no disk."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(2**40)


STRANGE: list[Callable[[Path], None]] = [pipe, endless, circle, listening, Path.mkdir]


def in_time(function: Callable[[], object]) -> object:
    """The result of the function, or its FolderError; fails when it does not return."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(function())
        except FolderError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "it waits"
    assert outcome, "it raised something else"
    return outcome[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled sentiment model, by links: nothing writes through them."""
    made = tmp_path / "model"
    made.mkdir()
    for file in (BUNDLED / DEFAULT_MODEL).iterdir():
        (made / file.name).symlink_to(file)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", [CONFIG, *TOKENIZER, *WEIGHTS])
def test_nothing_waits_for_what_is_no_file(
    folder: Path, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    """In a load, a check or a look at the size: refused by its name, or left alone where it is not needed."""
    (folder / name).unlink(missing_ok=True)
    if name in ("vocab.txt", "vocab.json", "merges.txt"):  # read where there is no tokenizer.json
        (folder / "tokenizer.json").unlink()
    make(folder / name)

    for use in (
        lambda: ModelFolder(folder, LoadOptions(1, 1, 1000, 512, tmp_path)),
        lambda: check_folder(folder),
        lambda: weight_bytes(folder),
    ):
        outcome = in_time(use)
        assert not isinstance(outcome, FolderError) or str(tmp_path) not in str(outcome)


@pytest.mark.parametrize("make", [pipe, endless, listening, Path.mkdir], ids=lambda make: make.__name__)
def test_the_sentence_names_the_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Whichever way it is to be read."""
    make(tmp_path / "config.json")

    for read in (open_plain, read_plain, require_plain):
        refused = in_time(partial(read, tmp_path / "config.json"))
        assert re.fullmatch(r"config\.json (is not a plain file|cannot be read: .+)\.", str(refused))


@pytest.mark.parametrize("name", [CONFIG, "tokenizer_config.json", "tokenizer.json", f"{WEIGHTS[0]}.index.json"])
def test_a_file_of_any_size_costs_nothing(folder: Path, name: str) -> None:
    """It is refused with both numbers before a byte of it is read."""
    if name.startswith(WEIGHTS[0]):
        (folder / WEIGHTS[0]).unlink()
    enormous(folder / name)

    assert f"{name} has {2**40} bytes, more than the limit of" in str(in_time(lambda: check_folder(folder)))


def test_a_file_at_the_limit_is_read(tmp_path: Path) -> None:
    """And one of a byte more is not."""
    (tmp_path / "a").write_bytes(b"x" * 10)

    assert b"x" * 10 == read_plain(tmp_path / "a", 10)
    with pytest.raises(FolderError, match="has 10 bytes, more than the limit of 9"):
        read_plain(tmp_path / "a", 9)
    assert TEXT_LIMIT > 33_400_000


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size at its opening is not relied on."""
    (tmp_path / "a").write_bytes(b"x" * 20)
    real = os.fstat

    def earlier(handle: int) -> os.stat_result:
        fields = list(real(handle))
        fields[6] = 5
        return os.stat_result(fields)

    monkeypatch.setattr("labeld.checkpoint.plain_file.os.fstat", earlier)
    with pytest.raises(FolderError, match="has 11 bytes, more than the limit of 10"):
        read_plain(tmp_path / "a", 10)


@pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)
def test_a_card_that_is_no_file_is_none(folder: Path, make: Callable[[Path], None]) -> None:
    """It is for people, so nothing fails."""
    (folder / NAME).unlink(missing_ok=True)
    make(folder / NAME)

    assert Card() == in_time(lambda: read_card(folder))


def test_a_huge_file_beside_the_model_is_not_hashed(folder: Path, tmp_path: Path) -> None:
    """A terabyte would block every load for an hour."""
    enormous(folder / "optimizer.bin")
    enormous(folder / "README.old")
    for name in TOKENIZER:  # no tokenizer is made of them where there is a tokenizer.json
        if not (folder / name).exists():
            enormous(folder / name)

    assert isinstance(in_time(lambda: folder_revision(folder, tmp_path)), str)
