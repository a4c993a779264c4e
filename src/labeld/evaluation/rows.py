"""Labelled texts of files, and their labels as those of a model."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from labeld.errors import InvalidRequestError
from labeld.evaluation.judged import Truth
from labeld.evaluation.labels import LabelReader
from labeld.files.reader import open_rows
from labeld.files.sources import BadRow
from labeld.types import Text


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the texts and their labels are."""

    text: str = "text"
    pair: str | None = None
    label: str = "label"
    separator: str | None = None
    """What stands between the labels of a text, where they are one string."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A text with its labels as the file has them."""

    text: Text
    labels: tuple[Any, ...]
    file: str
    line: int

    @property
    def where(self) -> str:
        """Its place, at the beginning of a sentence."""
        return f"Line {self.line} of {self.file}"


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The rows of files, all of them: those with a text and a label, and the others."""

    rows: list[LabelledRow]
    bad: list[BadRow]
    files: tuple[str, ...]


def read_rows(inputs: Sequence[str], columns: Columns, kind: str | None) -> LabelledRows:
    """Reads the files into memory; `kind` is the name of their format, None where their names say it.

    Raises FileError where a file cannot be read, InvalidRequestError where no row has a text and a label.
    """
    texts = [columns.text] if columns.pair is None else [columns.text, columns.pair]
    if columns.label in texts or columns.text == columns.pair:
        raise InvalidRequestError(
            f"The columns are {', '.join([*texts, columns.label])}, but each must be another one: name the right ones "
            "with --column, --pair-column and --label-column."
        )
    reader = open_rows(inputs, texts, [columns.label], format=kind)
    rows: list[LabelledRow] = []
    bad: list[BadRow] = []
    for part in reader:
        bad += part.bad
        parts = [part.column(name) for name in texts]
        lines = part.lines.tolist()
        for line, value, *pieces in zip(lines, part.column(columns.label), *parts, strict=True):
            if value is None or (isinstance(value, float) and np.isnan(value)):
                bad.append(
                    BadRow(
                        part.file,
                        line,
                        f"has no label in column {columns.label!r}",
                        dict(zip(texts, pieces, strict=True)),
                    )
                )
            else:
                text = Text(pieces[0], (pieces[1] or None) if len(pieces) > 1 else None)
                rows.append(LabelledRow(text, _labels(value, columns.separator), part.file, line))
    if not rows:
        first = f"; the first of {len(bad):,} that cannot be used, line {bad[0].line}, {bad[0].reason}" if bad else ""
        raise InvalidRequestError(f"No row of {', '.join(reader.files)} has a text and a label{first}.")
    return LabelledRows(rows, bad, reader.files)


def _labels(value: Any, separator: str | None) -> tuple[Any, ...]:
    """The labels of one cell: a list, also as JSON, a string with separators, or one value."""
    if isinstance(value, str):
        return _of_string(value, separator)
    return tuple(value) if isinstance(value, list | tuple) else (value,)


@lru_cache(4096)  # NOTE: for memory: a million rows have few different cells
def _of_string(cell: str, separator: str | None) -> tuple[Any, ...]:
    if cell.startswith("["):
        with suppress(ValueError, RecursionError):
            return tuple(json.loads(cell))
    if separator is not None:
        return tuple(part for one in cell.split(separator) if (part := one.strip()))
    return (cell,)


def read_truth(
    rows: Sequence[LabelledRow],
    model: str,
    labels: Sequence[str],
    mapped: Mapping[str, Sequence[str]],
    *,
    multi_label: bool,
) -> tuple[Truth, str | None]:
    """The labels of the rows as those of a model, and a sentence where they were read as ids.

    Raises UnknownLabelError for the first that the model does not have, InvalidRequestError where a row has several
    or none of a model that gives each text one.
    """
    reader = LabelReader(model, labels, mapped)
    truth = np.zeros((len(rows), len(labels)), bool)
    for index, row in enumerate(rows):
        if not multi_label and len(row.labels) != 1:
            raise InvalidRequestError(
                f"{row.where} has {len(row.labels) or 'no'} labels, but {model} gives each text exactly one: correct "
                "the file, or name a multi-label model."
            )
        if multi_label and row.labels == ("",) and "" not in mapped:
            continue
        for label in row.labels:
            truth[index, reader.read(label, row.where)] = True
    return truth, reader.note
