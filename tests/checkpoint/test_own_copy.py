"""Weights that others write over or cut off while they are used are those of the beginning."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from labeld.checkpoint.mapped_file import MappedFile
from labeld.errors import FolderError

WEIGHTS = np.random.default_rng(1).bytes(1 << 20)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(WEIGHTS)
    return path


@pytest.mark.parametrize("what", ["written over", "cut off"])
def test_a_copy_is_what_the_file_was(weights: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for pages that nobody has read yet; and the copy has no name that would be left behind."""
    monkeypatch.setattr("labeld.checkpoint.own_copy.is_memory", lambda _: False)  # as the tests' folder may be
    mapped = MappedFile(weights, tmp_path / "cache")
    mapped.release()
    with weights.open("r+b") as file:
        file.write(bytes(len(WEIGHTS))) if what == "written over" else file.truncate(10)

    assert mapped.data[:] == WEIGHTS
    assert not list((tmp_path / "cache").iterdir())


def test_without_room_the_file_itself_is_used(weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And the log says what is then to be kept in mind."""
    (tmp_path / "no folder").touch()

    assert MappedFile(weights, tmp_path / "no folder").data[:] == WEIGHTS
    assert "takes no copy of model.safetensors" in caplog.text
    assert "replace it only by renaming" in caplog.text


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no folder that lies in memory")
def test_a_copy_never_takes_memory(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The weights are then there as often as they are loaded, and no budget would know it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # of memory, as the test says
        mapped = MappedFile(weights, Path(folder))

    weights.write_bytes(bytes(len(WEIGHTS)))
    assert mapped.data[:] == bytes(len(WEIGHTS))
    assert "no disk with room for a copy of model.safetensors" in caplog.text


def test_a_file_of_holes_is_not_copied(tmp_path: Path) -> None:
    """It would fill the disk: what is in it is refused by whoever reads it."""
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    MappedFile(path, tmp_path / "cache")

    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_cut_off_meanwhile_is_refused(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it is never mapped."""
    monkeypatch.setattr("labeld.checkpoint.own_copy.is_memory", lambda _: False)
    send = os.sendfile

    def cutting(out: int, source: int, offset: int, count: int) -> int:
        os.truncate(weights, 1000)
        return send(out, source, offset, min(count, 1000))

    monkeypatch.setattr(os, "sendfile", cutting)
    with pytest.raises(FolderError, match=r"^model\.safetensors was cut off while it was read"):
        MappedFile(weights, tmp_path / "cache")
