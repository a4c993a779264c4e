"""The format of a file, by the extensions of its name, and the files that paths and patterns name."""

import errno
import glob
import os
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from labeld.files.errors import FileError

FormatName = Literal["csv", "tsv", "jsonl", "parquet", "arrow"]
Compression = Literal["gzip", "bz2", "zstd"]

STANDARD_INPUT = "-"
EXTENSIONS: dict[str, FormatName] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
SHOWN = 60
"""Characters of a name that no file can have, which a sentence shows."""
KNOWN = f"{', '.join(EXTENSIONS)}, with {', '.join(COMPRESSIONS)} behind it where it is compressed"


class Format(NamedTuple):
    """How a file is to be read or written."""

    name: FormatName
    compression: Compression | None
    """Of the file as a whole; parquet and arrow files have their own inside."""


def format_of(path: str, name: str | None = None) -> Format:
    """The format that the extensions of a file's name say, or the one of this name; raises FileError."""
    require_name(path)
    compression = compression_of(path)
    found = EXTENSIONS.get(f".{name.lower()}") if name else _named(path)
    if name and not found:
        names = ", ".join(get_args(FormatName))
        raise FileError(f"There is no format {name!r}: take one of {names}, or leave it out.")
    if not found:
        what = "Standard input" if path == STANDARD_INPUT else f"The name of {path}"
        raise FileError(f"{what} does not say its format: pass it as --format, or name the file with {KNOWN}.")
    if compression and found == "parquet":
        raise FileError(f"{path} is parquet in {compression}, which cannot be read in parts: decompress it first.")
    return Format(found, compression)


def require_name(path: str) -> None:
    """Raises FileError for an empty name, such as a shell makes of a variable that is not set."""
    if not path:
        raise FileError("The name of a file is empty: give one, and see that no variable in it is unset.")


def says_format(path: str) -> bool:
    """Whether a file's name says its format."""
    return _named(path) is not None


def is_file_of_rows(name: str) -> bool:
    """Whether there is a file of this name, and it says a format."""
    return says_format(name) and os.path.isfile(name)  # noqa: PTH113  # False, too, for what can be no name


def compression_of(path: str) -> Compression | None:
    """The compression that the last extension of a file's name says."""
    return COMPRESSIONS.get(Path(path).suffix.lower())


def _named(path: str) -> FormatName | None:
    name = Path(path)
    return EXTENSIONS.get(Path(name.stem if compression_of(path) else name.name).suffix.lower())


def model_of(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The model among arguments that may begin with one, empty where they do not, and the files behind it.

    A shell makes several arguments of `--input part-*.csv`: what is a file by its name and on the disk is no model.
    """
    if not arguments or is_file_of_rows(arguments[0]):
        return "", list(arguments)
    return arguments[0], list(arguments[1:])


def find_files(inputs: Iterable[str], written: Collection[Path] = ()) -> list[str]:
    """The files that paths and patterns such as `part-*.csv` name, those of a pattern sorted; raises FileError.

    A file that is named and found, or found twice, is read once, whatever it is called; what the run itself writes is
    not found.
    """
    found: dict[Path, str] = {}
    own = {path.absolute() for path in written}
    for one in inputs:
        require_name(one)
        path = Path(one)
        if one == STANDARD_INPUT and one in found.values():
            raise FileError(f"Standard input ({one}) is named twice, but can be read only once.")
        kind = _kind(one)
        if one == STANDARD_INPUT or kind in {stat.S_IFREG, stat.S_IFIFO, stat.S_IFCHR}:
            found.setdefault(path.resolve(), one)
            continue
        if kind == stat.S_IFDIR:
            raise FileError(f"{one} is a folder: name its files, for example '{path / '*.csv'}'.")
        matched = sorted(file for file in glob.glob(one, recursive=True) if Path(file).is_file())  # noqa: PTH207
        matched = [file for file in matched if Path(file).absolute() not in own]
        if not matched:
            raise FileError(f"There is no file {one}.")
        for file in matched:
            found.setdefault(Path(file).resolve(), file)
    return [*found.values()]


def _kind(path: str) -> int | None:
    """The kind of file that a path names, None where it names none; raises FileError where that cannot be seen."""
    try:
        return stat.S_IFMT(Path(path).stat().st_mode)
    except PermissionError:
        raise FileError(f"{path} may not be read by this user.") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and not glob.has_magic(path):
            raise FileError(f"{path[:SHOWN]}… is longer than a file's name may be.") from None
        return None
    except ValueError:  # a null character
        return None
