"""The revision of a local folder."""

import json
import os
from pathlib import Path

import pytest

from labeld.checkpoint.revision import CACHE_FROM, HASHES_FILE, folder_revision, folder_state

WEIGHTS = "model.safetensors"
CONFIG = {"config.json": b"{}"}


def folder(path: Path, files: dict[str, bytes]) -> Path:
    """A folder with these files."""
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def with_large_weights(path: Path) -> Path:
    """A folder whose weights are large enough for their hash to be cached."""
    return folder(path, CONFIG | {WEIGHTS: b"x" * CACHE_FROM})


def test_it_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    """40 hex digits, the same for a copy, another for any change."""
    files = CONFIG | {WEIGHTS: b"1", "vocab.txt": b"2"}
    one = folder_revision(folder(tmp_path / "one", files), tmp_path)
    copy = folder_revision(folder(tmp_path / "copy", dict(reversed(files.items()))), tmp_path)
    changed = folder_revision(folder(tmp_path / "changed", files | {"vocab.txt": b"3"}), tmp_path)
    renamed = folder_revision(folder(tmp_path / "renamed", CONFIG | {WEIGHTS: b"1", "vocab.json": b"2"}), tmp_path)

    assert 40 == len(one)
    assert int(one, 16)
    assert one == copy
    assert 3 == len({one, changed, renamed})


def test_the_hash_of_a_large_file_is_stored_until_the_file_changes(tmp_path: Path) -> None:
    """A changed file with the same size is hashed again, since its modification time differs."""
    models = with_large_weights(tmp_path / "models")
    before = folder_revision(models, tmp_path / "cache")
    stored = (tmp_path / "cache" / HASHES_FILE).read_text()
    (models / WEIGHTS).write_bytes(b"y" * CACHE_FROM)
    os.utime(models / WEIGHTS, ns=(1, 1))

    assert ":1" in stored or str(CACHE_FROM) in stored
    assert before != folder_revision(models, tmp_path / "cache")


def test_a_stored_hash_is_used(tmp_path: Path) -> None:
    """The memory answers for a file that has not changed."""
    models = with_large_weights(tmp_path / "models")
    before = folder_revision(models, tmp_path / "cache")
    memory = tmp_path / "cache" / HASHES_FILE
    memory.write_text(memory.read_text().replace('": "', '": "f'))

    assert before != folder_revision(models, tmp_path / "cache")


def test_a_broken_or_unwritable_memory_costs_time_only(tmp_path: Path) -> None:
    """The revision is the same."""
    models = with_large_weights(tmp_path / "models")
    expected = folder_revision(models, tmp_path / "cache")
    (tmp_path / "cache" / HASHES_FILE).write_text("{")

    assert expected == folder_revision(models, tmp_path / "cache")
    assert expected == folder_revision(models, models / WEIGHTS / "not-a-folder")


@pytest.mark.parametrize(
    "stray", ["README.md", "optimizer.bin", "pytorch_model.bin", "model-00009-of-00009.safetensors", "a.txt", ".bin"]
)
def test_a_file_that_the_model_does_not_read_is_neither_hashed_nor_counted(tmp_path: Path, stray: str) -> None:
    """However large it is: here a hole of a terabyte, which would take minutes."""
    models = folder(tmp_path / "models", CONFIG | {WEIGHTS: b"1"})
    before = folder_revision(models, tmp_path)
    with (models / stray).open("wb") as file:
        file.truncate(2**40)

    assert before == folder_revision(models, tmp_path)


def test_shards_count_and_so_does_their_index(tmp_path: Path) -> None:
    """Each by its content; the shards have the names that the index gives them."""
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    files = CONFIG | {f"{WEIGHTS}.index.json": json.dumps(index).encode(), "one.safetensors": b"1"}
    shards = folder(tmp_path / "shards", files | {"two.safetensors": b"2"})
    changed = folder(tmp_path / "changed", files | {"two.safetensors": b"3"})

    assert folder_revision(shards, tmp_path) != folder_revision(changed, tmp_path)


def test_a_new_readme_is_no_change_and_new_weights_are(tmp_path: Path) -> None:
    """The state shows a change without reading files; a pipe or a broken link hides none."""
    models = folder(tmp_path / "models", CONFIG | {WEIGHTS: b"1"})
    os.mkfifo(models / "vocab.txt")
    (models / "a.bin").symlink_to("nowhere")
    before = folder_state(models)
    (models / "README.md").write_text("new")
    assert before == folder_state(models) != ()
    (models / "new").write_bytes(b"2")
    (models / "new").rename(models / WEIGHTS)

    assert before != folder_state(models)
