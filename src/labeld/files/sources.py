"""The files of every format as batches of columns with the line of each row."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Lines = NDArray[np.int64]
"""1-based line of each row where the file is text, and number of each row where it is not."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used."""

    file: str
    line: int
    """1-based: the line of a csv or jsonl file on which the row begins, the number of the row of any other."""
    reason: str
    """What is wrong with it, as the rest of a sentence about the row: `has 3 fields, but the header has 2`."""
    row: Any
    """What it has: a dict by column, or the line where that cannot be taken apart."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one file that follow each other."""

    table: Any
    """pyarrow.RecordBatch of the rows that could be read, with the columns that are asked for or more."""
    lines: Lines
    """[rows of the table]."""
    bad: tuple[BadRow, ...]
    """The other rows among them."""
    size: int
    """Bytes of the file that these rows take up, roughly."""
    json: tuple[bytes, ...] | None = None
    """The text of each row of a jsonl file."""


class Source(Protocol):
    """One file."""

    path: str
    schema: Any
    """pyarrow.Schema of all its columns."""
    size: int | None
    """Bytes of all its batches together, roughly; None where that is not known."""
    is_empty: bool
    """Whether it has neither rows nor columns."""

    def batches(self) -> Iterator[Batch]:
        """Its rows, once; raises FileError where the file cannot be read any further."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """The columns that are asked for."""

    texts: tuple[str, ...]
    others: Collection[str] | None
    """None for all there are."""
    added: tuple[str, ...] = ()
    """Columns that will be added, which no row may have already."""

    def __contains__(self, name: str) -> bool:
        return self.others is None or name in self.texts or name in self.others
