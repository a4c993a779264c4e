"""Files that a report is written to: whole or not at all, and never over another one unasked."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from labeld.errors import InvalidRequestError
from labeld.system.links import followed

SHOWN = 100
"""Characters of a path that cannot be, which a sentence shows."""


def require_free(path: Path, *, overwrite: bool) -> None:
    """Raises InvalidRequestError where a file could not be written here: known before anything is computed."""
    path = followed(path)
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError):  # for example a name that is too long
        raise InvalidRequestError(f"{str(path)[:SHOWN]!r} can be no file here: give another name.") from None
    if path.is_symlink():
        raise InvalidRequestError(f"{str(path)!r} is a link that leads to no end: name a file.")
    if path.is_dir():
        raise InvalidRequestError(f"{str(path)!r} is a folder: name a file.")
    if path.exists() and not path.is_file():
        return  # as /dev/null, which is written and not replaced
    if path.exists() and not overwrite:
        raise InvalidRequestError(f"{str(path)!r} is there already: name another file, or add --overwrite.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError:
        sentence = f"{str(path)!r} cannot be written: its folder is missing or not yours to write in."
        raise InvalidRequestError(sentence) from None


def write_text(path: Path, text: str, *, overwrite: bool) -> None:
    """Writes the file; raises InvalidRequestError where that fails, and then nothing is left of it."""
    path = followed(path)
    require_free(path, overwrite=overwrite)
    unfinished = None
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}-")
        unfinished = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
    except OSError as error:
        raise InvalidRequestError(f"{str(path)!r} cannot be written: {error.strerror}.") from None
    finally:
        if unfinished is not None:
            with suppress(OSError):
                unfinished.unlink()


def _umask() -> int:
    """The permissions that this process gives to no file; a temporary file has fewer still."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
