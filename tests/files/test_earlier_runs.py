"""What an earlier run has left is gone on with, kept or refused, and never lost by accident."""

import resource
from pathlib import Path
from typing import Any

import pytest

from labeld import LabeldError
from labeld.files.earlier_runs import completed, own_files, require_apart, require_free
from labeld.files.journal import Done, JournaledFile, journal_file, partial_file, side_file

RUN: dict[str, Any] = {"inputs": ["in.csv", 7, 8], "model": "org/name 1", "options": ["text", None]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The output of a run."""
    return tmp_path / "out.csv"


def written(path: Path, *parts: bytes, bad: bytes = b"", **options: bool) -> None:
    """Writes an output to its end."""
    with JournaledFile(path, RUN, b"head ", **options) as file:
        for part in parts:
            file.append(part, bad, Done(RUN, 1, 1, bool(bad), 1))
        file.complete()


def test_a_complete_output_is_known_by_its_run(path: Path) -> None:
    """Its figures are kept, and another run is refused."""
    written(path, b"a", b"b", bad=b"x")
    require_free(path, overwrite=False, resume=True)
    found = completed(path, RUN)

    assert (2, 2, b"head ab") == (found and found.rows, found and found.bad, path.read_bytes())
    with pytest.raises(LabeldError, match=r"out\.csv was begun with other options: ask for the same again, or start"):
        completed(path, {**RUN, "options": ["body", None]})
    assert [".out.csv.done.json", "out.csv", "out.csv.bad.jsonl"] == sorted(one.name for one in path.parent.iterdir())


@pytest.mark.parametrize("is_changed", [False, True])
def test_an_output_of_nobody_knows_whom_is_not_complete(path: Path, is_changed: bool) -> None:
    """Neither a file that no run has made, nor one that was changed since."""
    if is_changed:
        written(path, b"a")
    path.write_text("other")
    with pytest.raises(LabeldError, match="exists, and which run has made it is not known: name another one, or"):
        require_free(path, overwrite=False, resume=True)


@pytest.mark.parametrize("rest", [("journal",), ("journal", "record")])
def test_a_run_that_was_killed_at_its_very_end_is_complete(path: Path, rest: tuple[str, ...]) -> None:
    """When its output had its name already."""
    with JournaledFile(path, RUN) as file:
        file.append(b"a", b"", Done(RUN, 1, 1))
        journal = journal_file(path).read_bytes()
        file.complete()
    journal_file(path).write_bytes(journal)
    record = path.parent / ".out.csv.done.json"
    if "record" not in rest:
        record.unlink()
    require_free(path, overwrite=False, resume=True)
    found = completed(path, RUN)

    assert 1 == (found and found.rows)
    assert (True, False) == (record.exists(), journal_file(path).exists())


def test_overwriting_waits_for_a_run_that_writes(path: Path) -> None:
    """It is refused, and takes nothing away from the other."""
    written(path, b"old", bad=b"x")
    with JournaledFile(path, RUN, overwrite=True) as file:
        file.append(b"a", b"y", Done(RUN, 1, 1, 1))
        require_free(path, overwrite=True, resume=False)
        with pytest.raises(LabeldError, match=r"out\.csv\.partial is being written by another run: wait until"):
            JournaledFile(path, RUN, overwrite=True).__enter__()
        file.append(b"b", b"", Done(RUN, 1, 1))
        file.complete()

    assert (b"ab", b"y") == (path.read_bytes(), side_file(path).read_bytes())
    assert not partial_file(path).exists()


def test_what_is_there_stays_until_the_run_begins(path: Path) -> None:
    """Checks touch nothing; and an output that has come meanwhile is not replaced."""
    written(path, b"old", bad=b"x")
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    require_free(path, overwrite=True, resume=False)
    with pytest.raises(LabeldError, match=r"out\.csv exists: name another one"):
        JournaledFile(path, RUN).__enter__()

    assert before == {one: one.read_bytes() for one in path.parent.iterdir()}


def test_a_run_never_reads_what_it_writes(path: Path) -> None:
    """By whatever name; its own output is one that patterns leave out only if a run is known to have made it."""
    path.write_text("a user's")
    partial_file(path).write_text("")
    (path.parent / "link.csv").symlink_to(path)
    for one in (path.parent / "link.csv", partial_file(path)):
        with pytest.raises(LabeldError, match="is one of the files that are read: name another one for the output"):
            require_apart(path, [str(one)])
    assert path not in own_files(path)
    path.unlink()
    written(path, b"a")

    assert path in own_files(path)


def test_nothing_is_left_of_a_run_that_has_no_room_to_begin(path: Path) -> None:
    """Neither its parts, nor the file of its bad rows, which the next run would take for another's."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(LabeldError, match="because the disk is full"), JournaledFile(path, RUN):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert not list(path.parent.iterdir())
