"""The format of a file, by the extensions of its name, and the files that paths and patterns name."""

import glob
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
KNOWN = f"{', '.join(EXTENSIONS)}, with {', '.join(COMPRESSIONS)} behind it where it is compressed"


class Format(NamedTuple):
    """How a file is to be read or written."""

    name: FormatName
    compression: Compression | None
    """Of the file as a whole; parquet and arrow files have their own inside."""


def format_of(path: str, name: str | None = None) -> Format:
    """The format that the extensions of a file's name say, or the one of this name; raises FileError."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    compression = COMPRESSIONS.get(suffixes.pop()) if suffixes and suffixes[-1] in COMPRESSIONS else None
    found = EXTENSIONS.get(f".{name.lower()}") if name else EXTENSIONS.get(suffixes[-1]) if suffixes else None
    if name and not found:
        names = ", ".join(get_args(FormatName))
        raise FileError(f"There is no format {name!r}: take one of {names}, or leave it out.")
    if not found:
        what = "Standard input" if path == STANDARD_INPUT else f"The name of {path}"
        raise FileError(f"{what} does not say its format: pass it as --format, or name the file with {KNOWN}.")
    if compression and found == "parquet":
        raise FileError(f"{path} is parquet in {compression}, which cannot be read in parts: decompress it first.")
    return Format(found, compression)


def says_format(path: str) -> bool:
    """Whether a file's name says its format."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in EXTENSIONS


def model_of(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The model among arguments that may begin with one, empty where they do not, and the files behind it.

    A shell makes several arguments of `--input part-*.csv`: what is a file by its name and on the disk is no model.
    """
    if not arguments or (says_format(arguments[0]) and Path(arguments[0]).is_file()):
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
        path = Path(one)
        if one == STANDARD_INPUT and one in found.values():
            raise FileError(f"Standard input ({one}) is named twice, but can be read only once.")
        if one == STANDARD_INPUT or path.is_file() or path.is_fifo() or path.is_char_device():
            found.setdefault(path.resolve(), one)
            continue
        if path.is_dir():
            raise FileError(f"{one} is a folder: name its files, for example '{path / '*.csv'}'.")
        matched = sorted(file for file in glob.glob(one, recursive=True) if Path(file).is_file())  # noqa: PTH207
        matched = [file for file in matched if Path(file).absolute() not in own]
        if not matched:
            raise FileError(f"There is no file {one}.")
        for file in matched:
            found.setdefault(Path(file).resolve(), file)
    return [*found.values()]
