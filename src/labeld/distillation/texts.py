"""The texts that a student learns from, and those that only measure it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from labeld.errors import InvalidRequestError
from labeld.files.reader import open_rows
from labeld.types import Text

LEAST = 100
"""Texts to learn from, at least; with fewer nothing can be learned or measured."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Different texts, in the order of their files."""

    taught: list[Text]
    held_out: list[Text]
    bad: int
    """Rows that have no text."""
    repeated: int
    """Rows whose text stood in a row before them."""
    files: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Changes with any text, and with their order; hexadecimal."""
        found = hashlib.sha256()
        for text in (*self.taught, *self.held_out):
            found.update(_digest(text))
        return found.hexdigest()


def read_texts(inputs: Sequence[str], column: str, pair_column: str | None, kind: str | None, share: float) -> Texts:
    """Reads the files into memory; a hash of each text decides whether it is held out, in every run the same.

    Raises FileError where a file cannot be read, InvalidRequestError where there are too few texts.
    """
    columns = [column] if pair_column is None else [column, pair_column]
    reader = open_rows(inputs, columns, format=kind)
    seen: dict[Text, None] = {}
    rows = bad = 0
    for part in reader:
        bad += len(part.bad)
        for first, *second in zip(*(part.column(name) for name in columns), strict=True):
            rows += 1
            seen[Text(first, second[0] if second else None)] = None
    taught = [text for text in seen if not _is_held_out(text, share)]
    held_out = [text for text in seen if _is_held_out(text, share)]
    if len(taught) < LEAST or not held_out:
        raise InvalidRequestError(
            f"{', '.join(reader.files)} {'has' if len(reader.files) == 1 else 'have'} {len(seen):,} different texts, "
            f"of which {len(held_out):,} are held out, but a student needs {LEAST} others at least: give more texts."
        )
    return Texts(taught, held_out, bad, rows - len(seen), reader.files)


def _is_held_out(text: Text, share: float) -> bool:
    return int.from_bytes(_digest(text)[:8], "big") < share * 2**64


def _digest(text: Text) -> bytes:
    return hashlib.sha256("\0".join(part or "" for part in text).encode("utf-8", "surrogatepass")).digest()
