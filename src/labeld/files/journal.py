"""A file that is written part by part, and that a process which was killed leaves so that another can go on.

Until it is complete there are, beside the name that it will have: `OUTPUT.partial` with the parts so far, and
`OUTPUT.partial.json`, the journal, which says how much of it counts. The journal is replaced after each part, when the
part is on the disk: what a killed process has written beyond is cut off by the next one. Rows that cannot be used are
in `OUTPUT.bad.jsonl`, which grows and is cut in the same way. A complete output has a hidden file beside it with what
was asked for, `.OUTPUT.done.json`, by which `--resume` knows it again.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

from labeld.files.errors import FileError
from labeld.files.formats import SHOWN

DIFFERENT = {
    "inputs": "other input files, or they have changed since",
    "model": "another model, or another revision of it",
    "precision": "another precision",
    "alias": "another temperature, thresholds, windows or names of labels in the configuration file",
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

    def __init__(self, path: Path, run: dict[str, Any], beginning: bytes = b"", *, overwrite: bool = False) -> None:
        """With `overwrite` what other runs have left is gone as soon as this one is alone."""
        self.path, self._beginning, self._overwrite = path, beginning, overwrite
        self.bad_path, self._partial, self._journal = side_file(path), partial_file(path), journal_file(path)
        self.done = Done(run)
        """What is on the disk."""
        self._is_complete = False
        self._file: BinaryIO
        self._bad_file: BinaryIO

    def __enter__(self) -> Self:
        """Opens it, and goes on where a journal says that a run like this one has ended; raises FileError."""
        with writing(self.path):
            is_new = not self._partial.exists()
            self._file = _opened(self._partial)
            with ExitStack() as failed:
                failed.callback(self._file.close)
                lock(self._file, self._partial)
                opened = os.fstat(self._file.fileno())
                if not self._partial.exists() or not os.path.samestat(opened, self._partial.stat()):
                    raise _busy(self._partial)  # it has become the output of a run that has ended just now
                if is_new:
                    failed.callback(self._partial.unlink, missing_ok=True)
                if not self.bad_path.exists():
                    failed.callback(self.bad_path.unlink, missing_ok=True)
                self._bad_file = _opened(self.bad_path)
                failed.callback(self._bad_file.close)
                self._begin()
                failed.pop_all()
        return self

    def _begin(self) -> None:
        run = self.done.run
        if self._overwrite:
            self._journal.unlink(missing_ok=True)
        elif self._journal.exists():
            self.done = read_journal(self._journal, self.path)
            require_same(self.path, run, self.done.run)
        elif self.path.exists():
            raise exists(self.path)
        for file, size in ((self._file, self.done.bytes), (self._bad_file, self.done.bad_bytes)):
            if os.fstat(file.fileno()).st_size < size:
                raise FileError(f"{file.name} has lost its end: start anew with --overwrite.")
            file.truncate(size)
            file.seek(size)
        if not self._journal.exists():
            self.append(self._beginning, b"", Done(run))

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self._drop_empty()
        for file in (self._file, self._bad_file):
            file.close()

    def _drop_empty(self) -> None:
        """Removes a side file that nothing is in, for as long as no other run can have begun."""
        if not self.done.bad_bytes and not self._is_complete:
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
            _write_json(self._journal, asdict(done))
            self.done = done

    def complete(self) -> None:
        """Gives the file its name, in place of any that has it."""
        with writing(self.path):
            self._drop_empty()
            self._finish()
            self._is_complete = True
            remember(self.path, self.done)
            self._partial.unlink(missing_ok=True)
            self._journal.unlink()

    def _finish(self) -> None:
        self._partial.replace(self.path)


def unfinished_file(path: Path) -> Path:
    """The file that takes the place of another one when it is whole."""
    return path.with_name(f"{path.name}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces the one at `path` when all is written, and else leaves that as it was.

    A machine that is lost meanwhile has the old one or the new one.
    """
    unfinished = unfinished_file(path)
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def side_file(path: Path) -> Path:
    """The file of the rows that cannot be used."""
    return path.with_name(f"{path.name}.bad.jsonl")


def partial_file(path: Path) -> Path:
    """The file of the parts so far."""
    return path.with_name(f"{path.name}.partial")


def journal_file(path: Path) -> Path:
    """The file that says how much of the other two counts."""
    return path.with_name(f"{path.name}.partial.json")


def record_file(path: Path) -> Path:
    """The file that says which run has made a complete output; hidden, or readers of folders would take it for data."""
    return path.with_name(f".{path.name}.done.json")


def require_one(*, overwrite: bool, resume: bool) -> None:
    """Raises FileError where both are asked for."""
    if overwrite and resume:
        raise FileError("Take either --overwrite, which starts anew, or --resume, which goes on.")


def ended_early(path: Path) -> FileError:
    """The failure of a run that neither goes on with what an earlier one has left, nor replaces it."""
    return FileError(
        f"{path} was begun by a run that ended early: go on with --resume, or start anew with --overwrite."
    )


def exists(path: Path) -> FileError:
    """The failure of a run that would replace a file."""
    return FileError(f"{path} exists: name another one, or replace it with --overwrite.")


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
        raise _busy(path) from None


def state(file: str) -> list[Any]:
    """What changes with an input file: its name, bytes, and time of the last change in nanoseconds."""
    stat = Path(file).stat()
    return [file, stat.st_size, stat.st_mtime_ns]


def _busy(path: Path) -> FileError:
    return FileError(f"{path} is being written by another run: wait until that has ended.")


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
        if error.errno == errno.ENAMETOOLONG:
            raise FileError(f"The name {path.name[:SHOWN]!r}… is too long for a file: name a shorter one.") from error
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


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(value).encode())


def read_journal(journal: Path, path: Path) -> Done:
    """What a journal says; raises FileError where it is none."""
    try:
        return Done(**json.loads(journal.read_text()))
    except (ValueError, TypeError):
        raise FileError(f"{journal} is no journal of {path}: start anew with --overwrite.") from None


def remember(path: Path, done: Done) -> None:
    """Keeps which run has made a complete output."""
    _write_json(record_file(path), {"output": state(str(path))[1:], "done": asdict(done)})


def record(path: Path) -> Done | None:
    """What the run has done that has made an output; None where that is not known, or it was changed since."""
    try:
        kept = json.loads(record_file(path).read_text())
        return Done(**kept["done"]) if kept["output"] == state(str(path))[1:] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
