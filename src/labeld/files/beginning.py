"""What the first bytes of a file say it is, where its name or `--format` says otherwise."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labeld.files.errors import FileError
from labeld.files.formats import Compression, Format, FormatName

LENGTH = 8
"""Bytes that are looked at."""

PACKED: dict[Compression, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bz2": re.compile(rb"BZh[1-9][1\x17]"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
FORMATS: dict[FormatName, bytes] = {"parquet": b"PAR1\x15", "arrow": b"ARROW1\0"}
"""With the byte that follows the name: a column may have the name."""
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""Of newer and of older programs."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
SEPARATORS = {
    "\t": "a tab: pass --format tsv",
    ",": "a comma: pass --format csv",
    ";": "a semicolon: save it with commas, or as tsv",
    "|": "a bar: save it with commas, or as tsv",
}
"""What a header may be separated by, and what to do about it."""


def require_packed(path: str, stream: Any, compression: Compression | None) -> None:
    """Raises FileError where the bytes of a stream with `peek` are compressed in another way than they should be."""
    head = stream.peek(LENGTH)[:LENGTH]
    found = next((name for name, sign in PACKED.items() if sign.match(head)), None)
    if compression and head and found != compression:
        raise FileError(f"{path} is not compressed with {compression}, though its name says so: give it another name.")
    if found and not compression:
        raise FileError(f"{path} is compressed with {found}, which its name does not say: rename or decompress it.")


def require_text(path: str, stream: Any, kind: Format) -> None:
    """Raises FileError where the bytes of a csv, tsv or jsonl file are those of something else."""
    head = stream.peek(LENGTH)[:LENGTH]
    if found := next((name for name, sign in FORMATS.items() if head.startswith(sign)), None):
        raise FileError(f"{path} is {found}, not {kind.name}: pass --format {found}, or rename it.")
    if head.startswith(SPREADSHEETS):
        raise FileError(f"{path} is a spreadsheet or an archive, not {kind.name}: export its rows as {kind.name}.")
    if head.startswith(UTF_16) or head[:2].count(0) == 1:
        raise FileError(f"{path} is UTF-16, but must be UTF-8: convert it, for example with iconv -f UTF-16 -t UTF-8.")


def require_parquet(path: str) -> None:
    """Raises FileError where a file does not begin as parquet does, unless it is empty."""
    with Path(path).open("rb") as file:
        head = file.read(4)
    if head and head != FORMATS["parquet"][:4]:
        raise FileError(f"{path} is no parquet file: pass its format as --format, or name another one.")


def other_separator(names: Sequence[str]) -> str:
    """The rest of a sentence about a file with a single column whose name looks like several; empty for others."""
    found = next((said for one, said in SEPARATORS.items() if len(names) == 1 and one in names[0]), None)
    return f", which looks like columns separated by {found}" if found else ""
