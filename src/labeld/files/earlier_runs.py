"""What earlier runs have left beside an output: whether a run may begin there, and whether it has anything to do."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labeld.files.errors import FileError
from labeld.files.journal import (
    Done,
    ended_early,
    exists,
    journal_file,
    partial_file,
    read_journal,
    record,
    record_file,
    remember,
    require_one,
    require_same,
    side_file,
    unfinished_file,
    writing,
)


def own_files(path: Path) -> list[Path]:
    """The files that a run writes beside its output, and the output itself where a run is known to have made it."""
    known = [path] if record(path) else []
    partial, journal = partial_file(path), journal_file(path)
    replaced = [path, journal, record_file(path)]
    return [*known, partial, journal, side_file(path), record_file(path), *map(unfinished_file, replaced)]


def require_apart(path: Path, inputs: Iterable[str]) -> None:
    """Raises FileError where a file that is read is one that is written."""
    written = [one for one in {path, *own_files(path)} if one.exists()]
    for file in inputs:
        if Path(file).exists() and any(one.samefile(file) for one in written):
            raise FileError(f"{file} is one of the files that are read: name another one for the output.")


def require_free(path: Path, *, overwrite: bool, resume: bool) -> None:
    """Raises FileError where a run must not begin: without `overwrite` nothing that exists is replaced.

    With `resume` a run that has ended early may be there, or a complete one: `completed` tells. Touches nothing.
    """
    require_one(overwrite=overwrite, resume=resume)
    with writing(path):
        if path.is_dir() or not path.parent.is_dir():
            what = f"{path} is a folder" if path.is_dir() else f"There is no folder {path.parent}"
            raise FileError(f"{what}: name a file in a folder that exists.")
        if path.is_symlink():
            raise FileError(f"{path} is a link that leads to no end: name another one, or remove it.")
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is no file, which could be replaced whole: name another one.")
        if overwrite:
            return
        partial, journal, bad = partial_file(path), journal_file(path), side_file(path)
        if not resume and journal.exists():
            raise ended_early(path)
        if resume and path.exists() and not journal.exists() and not record(path):
            raise FileError(
                f"{path} exists, and which run has made it is not known: name another one, or replace it with "
                "--overwrite."
            )
        if not resume and (existing := next((one for one in (path, bad, partial) if one.exists()), None)):
            raise exists(existing)


def completed(path: Path, run: dict[str, Any]) -> Done | None:
    """What a run has done that was asked for the same and whose output is complete; None if some is left to do.

    Raises FileError where the output is that of another run.
    """
    journal = journal_file(path)
    with writing(path):
        if partial_file(path).exists() or not path.exists():
            return None
        done = record(path)
        if done is None and journal.exists():  # of a run that was killed when its output had got its name
            read = read_journal(journal, path)
            done = read if read.bytes == path.stat().st_size else None
        if done is not None:
            require_same(path, run, done.run)
            remember(path, done)
            journal.unlink(missing_ok=True)
    return done
