"""A file that is written part by part, and that a process which was killed leaves so that another can go on.

Until it is complete there are, beside the name that it will have: `OUTPUT.partial` with the parts so far, and
`OUTPUT.partial.json`, the journal, which says how much of it counts. The journal is replaced after each part, when the
part is on the disk: what a killed process has written beyond is cut off by the next one. Rows that cannot be used are
in `OUTPUT.bad.jsonl`, which grows and is cut in the same way.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

from labeld.files.errors import FileError

DIFFERENT = {
    "inputs": "other input files, or they have changed since",
    "model": "another model, or another revision of it",
    "precision": "another precision",
    "options": "other options",
}
"""Members of what was asked for -> how a sentence names one that is not equal."""


@dataclass(frozen=True, slots=True)
class Done:
    """The content of a journal."""

    run: dict[str, Any]
    """What was asked for, by the names of DIFFERENT."""
    parts: int = 0
    rows: int = 0
    bad: int = 0
    size: int = 0
    """Bytes of the input that these rows take up, roughly."""
    bytes: int = 0
    """Of the partial file that count."""
    bad_bytes: int = 0
    """Of the side file that count."""


class JournaledFile:
    """The file of one run. Use it as a context manager; whoever closes it before `complete` can go on later."""

    def __init__(self, path: Path, run: dict[str, Any], beginning: bytes = b"") -> None:
        self.path, self._beginning = path, beginning
        self.bad_path, self._partial, self._journal = side_file(path), partial_file(path), journal_file(path)
        self.done = Done(run)
        """What is on the disk."""
        self._file: BinaryIO
        self._bad_file: BinaryIO

    def __enter__(self) -> Self:
        """Opens it, and goes on where a journal says that a run like this one has ended; raises FileError."""
        run = self.done.run
        with writing(self.path):
            if self._journal.exists():
                self.done = _read_journal(self._journal, self.path)
                require_same(self.path, run, self.done.run)
            self._file, self._bad_file = _opened(self._partial), _opened(self.bad_path)
            lock(self._file, self._partial)
            for file, size in ((self._file, self.done.bytes), (self._bad_file, self.done.bad_bytes)):
                if os.fstat(file.fileno()).st_size < size:
                    raise FileError(f"{file.name} has lost its end: start anew with --overwrite.")
                file.truncate(size)
                file.seek(size)
            if not self._journal.exists():
                self.append(self._beginning, b"", Done(run))
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        for file in (self._file, self._bad_file):
            file.close()
        if not self.done.bad_bytes:
            self.bad_path.unlink(missing_ok=True)

    def append(self, data: bytes, bad: bytes, more: Done) -> None:
        """Writes one more part to the disk, and its bad rows; `more` is what the part adds to what is done.

        Raises FileError where that is not possible; the parts before it stay.
        """
        with writing(self.path):
            before = self.done
            written, bad_written = _write(self._file, data), _write(self._bad_file, bad)
            done = Done(
                before.run,
                before.parts + more.parts,
                before.rows + more.rows,
                before.bad + more.bad,
                before.size + more.size,
                before.bytes + written,
                before.bad_bytes + bad_written,
            )
            unfinished = self._journal.with_suffix(".tmp")
            try:
                unfinished.write_text(json.dumps(asdict(done)))
                unfinished.replace(self._journal)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
            self.done = done

    def complete(self) -> None:
        """Gives the file its name, in place of any that has it."""
        with writing(self.path):
            self._finish()
            self._partial.unlink(missing_ok=True)
            self._journal.unlink()

    def _finish(self) -> None:
        self._partial.replace(self.path)


def side_file(path: Path) -> Path:
    """The file of the rows that cannot be used."""
    return path.with_name(f"{path.name}.bad.jsonl")


def partial_file(path: Path) -> Path:
    """The file of the parts so far."""
    return path.with_name(f"{path.name}.partial")


def journal_file(path: Path) -> Path:
    """The file that says how much of the other two counts."""
    return path.with_name(f"{path.name}.partial.json")


def prepare(path: Path, *, overwrite: bool, resume: bool) -> bool:
    """Makes way for a run; False if it was completed before and there is nothing left to do. Raises FileError.

    Without `overwrite` nothing that exists is touched; with `resume` a run that has ended early may be there.
    """
    require_one(overwrite=overwrite, resume=resume)
    if path.is_dir() or not path.parent.is_dir():
        what = f"{path} is a folder" if path.is_dir() else f"There is no folder {path.parent}"
        raise FileError(f"{what}: name a file in a folder that exists.")
    partial, journal, bad = partial_file(path), journal_file(path), side_file(path)
    with writing(path):
        if overwrite:
            for one in (journal, partial, bad):
                one.unlink(missing_ok=True)
        elif resume:
            if path.exists() and not partial.exists():
                journal.unlink(missing_ok=True)
                return False
        elif journal.exists():
            raise ended_early(path)
        elif existing := next((one for one in (path, bad, partial) if one.exists()), None):
            raise FileError(f"{existing} exists: name another one, or replace it with --overwrite.")
    return True


def require_one(*, overwrite: bool, resume: bool) -> None:
    """Raises FileError where both are asked for."""
    if overwrite and resume:
        raise FileError("Take either --overwrite, which starts anew, or --resume, which goes on.")


def ended_early(path: Path) -> FileError:
    """The failure of a run that neither goes on with what an earlier one has left, nor replaces it."""
    return FileError(
        f"{path} was begun by a run that ended early: go on with --resume, or start anew with --overwrite."
    )


def require_same(path: Path, run: dict[str, Any], before: dict[str, Any]) -> None:
    """Raises FileError where an earlier run was asked for something else; both by the names of DIFFERENT."""
    if other := next((name for name in run if run[name] != before.get(name)), None):
        raise FileError(
            f"{path} was begun with {DIFFERENT[other]}: ask for the same again, or start anew with --overwrite."
        )


def lock(file: IO[Any], path: Path) -> None:
    """Keeps other runs out until the file is closed; raises FileError where one is in."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileError(f"{path} is being written by another run: wait until that has ended.") from None


def state(file: str) -> list[Any]:
    """What changes with an input file: its name, bytes, and time of the last change in nanoseconds."""
    stat = Path(file).stat()
    return [file, stat.st_size, stat.st_mtime_ns]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what writing raises into a FileError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise FileError(
                f"{path} cannot be completed, because the disk is full: free space, and go on with --resume."
            ) from error
        raise FileError(f"{path} cannot be written: see who may write to its folder, {path.parent}.") from error


def _opened(path: Path) -> BinaryIO:
    """A file to be read and written, which is made if it is not there, without a buffer between it and the disk."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b", buffering=0)  # noqa: PTH123


def _write(file: BinaryIO, data: bytes) -> int:
    """Writes all of it to the disk."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    if data:
        os.fsync(file.fileno())
    return len(data)


def _read_journal(journal: Path, path: Path) -> Done:
    try:
        return Done(**json.loads(journal.read_text()))
    except (ValueError, TypeError):
        raise FileError(f"{journal} is no journal of {path}: start anew with --overwrite.") from None
