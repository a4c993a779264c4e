"""The revision of a local folder."""

import os
from pathlib import Path

from labeld.checkpoint.revision import MEMORY_FILE, REMEMBER_FROM, folder_revision


def folder(path: Path, **files: bytes) -> Path:
    """A folder with these files."""
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def test_it_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    """40 hex digits, the same for a copy, another for any change."""
    one = folder_revision(folder(tmp_path / "one", a=b"1", b=b"2"), tmp_path)
    copy = folder_revision(folder(tmp_path / "copy", b=b"2", a=b"1"), tmp_path)
    changed = folder_revision(folder(tmp_path / "changed", a=b"1", b=b"3"), tmp_path)
    renamed = folder_revision(folder(tmp_path / "renamed", a=b"1", c=b"2"), tmp_path)

    assert 40 == len(one)
    assert int(one, 16)
    assert one == copy
    assert 3 == len({one, changed, renamed})


def test_the_hash_of_a_large_file_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    """A changed file with the same size is hashed again, since its modification time differs."""
    models = folder(tmp_path / "models", big=b"x" * REMEMBER_FROM)
    before = folder_revision(models, tmp_path / "cache")
    remembered = (tmp_path / "cache" / MEMORY_FILE).read_text()
    (models / "big").write_bytes(b"y" * REMEMBER_FROM)
    os.utime(models / "big", ns=(1, 1))

    assert ":1" in remembered or str(REMEMBER_FROM) in remembered
    assert before != folder_revision(models, tmp_path / "cache")


def test_a_remembered_hash_is_used(tmp_path: Path) -> None:
    """The memory answers for a file that has not changed."""
    models = folder(tmp_path / "models", big=b"x" * REMEMBER_FROM)
    before = folder_revision(models, tmp_path / "cache")
    memory = tmp_path / "cache" / MEMORY_FILE
    memory.write_text(memory.read_text().replace('": "', '": "f'))

    assert before != folder_revision(models, tmp_path / "cache")


def test_a_broken_or_unwritable_memory_costs_time_only(tmp_path: Path) -> None:
    """The revision is the same."""
    models = folder(tmp_path / "models", big=b"x" * REMEMBER_FROM)
    expected = folder_revision(models, tmp_path / "cache")
    (tmp_path / "cache" / MEMORY_FILE).write_text("{")

    assert expected == folder_revision(models, tmp_path / "cache")
    assert expected == folder_revision(models, models / "big" / "not-a-folder")
