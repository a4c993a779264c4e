"""Model folders whose reading has crashed a process: they are not read again for a while.

A mark is a file in the cache folder that is there while a model folder is read, and locked: whoever finds it unlocked
knows that its process has ended meanwhile. Losing one costs a restart only, so a disk that refuses one is no error.
"""

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from labeld.checkpoint.revision import folder_state
from labeld.errors import FolderError
from labeld.lifecycle.errors import DeadlyFolderError

MARKS = "load-marks"
"""The folder of the marks, in the cache folder."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds before a folder that crashed a process is read again, at first and at most; doubled by each crash."""

P = ParamSpec("P")
R = TypeVar("R")


class LoadMarks:
    """The marks of one cache folder, which several processes may share."""

    def __init__(self, cache_dir: Path) -> None:
        self._folder = cache_dir / MARKS

    def guarded(self, function: Callable[[Path], R]) -> Callable[[Path], R]:
        """The function, which reads a model folder, as one that marks the folder meanwhile."""

        def read(folder: Path) -> R:
            with self.reading(folder):
                return function(folder)

        return read

    @contextmanager
    def reading(self, folder: Path) -> Iterator[None]:
        """Marks the folder until the context ends, however it does.

        Raises FolderError while the folder must not be read because that has ended a process.
        """
        path = self._path(folder)
        handle = self._lock(path)
        if handle is None:  # another process reads it too, or there is no place for marks
            yield
            return
        try:
            state = digest(folder)
            deaths = self._deaths(handle, state)
            _write(handle, {"state": state, "deaths": deaths, "at": time.time(), "reading": True})
            yield
            _forget(path)
        except _NotYetError:
            raise
        except DeadlyFolderError as error:
            mark = {"state": digest(folder), "deaths": deaths + 1, "at": time.time(), "reading": False}
            _write(handle, {**mark, "why": str(error)})
            raise
        except BaseException:
            _forget(path)
            raise
        finally:
            os.close(handle)

    def forgive(self, folder: Path) -> None:
        """Lets the next load read this folder in any case, at an operator's request."""
        path = self._path(folder)
        handle = self._lock(path)
        if handle is not None:
            _forget(path)
            os.close(handle)

    def _deaths(self, handle: int, state: str) -> int:
        """Crashes so far while the folder was read in this state; raises FolderError during the pause."""
        mark = _read(handle)
        if mark.get("state") != state:
            return 0
        deaths, at, why = int(mark["deaths"]), float(mark["at"]), mark["why"]
        now = time.time()
        if mark["reading"]:
            deaths, at = deaths + 1, now
        at = min(at, now)  # where the clock was set back, the pause begins anew
        if (deaths, at) != (mark["deaths"], mark["at"]):
            _write(handle, {**mark, "deaths": deaths, "at": at, "reading": False})
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(deaths - 1, 10))
        left = at + pause - now
        if left > 0:
            raise _NotYetError(deaths, left, why)
        return deaths

    def _path(self, folder: Path) -> Path:
        return self._folder / hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]

    def _lock(self, path: Path) -> int | None:
        """A locked handle of the mark; None where another process has the lock, or no mark can be written."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                return None
            return handle
        return None


class _NotYetError(FolderError):
    def __init__(self, deaths: int, seconds: float, why: str) -> None:
        times = f"{deaths} time{'s' if deaths > 1 else ''}"
        why = why.rstrip(".") or f"Reading its files has ended the server's process {times}"
        super().__init__(f"{why}: they are read again in {math.ceil(seconds)} s, or once they have changed.")


def digest(folder: Path) -> str:
    """A short value that changes whenever a file that may count is replaced."""
    return hashlib.sha256(repr(folder_state(folder)).encode()).hexdigest()


def _read(handle: int) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        mark = json.loads(os.pread(handle, 4096, 0))
        numbers = {key: mark[key] + 0 for key in ("deaths", "at", "reading")}
        return {"state": str(mark["state"]), **numbers, "why": str(mark.get("why", ""))}
    return {}


def _write(handle: int, mark: dict[str, Any]) -> None:
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(mark).encode(), 0)


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
