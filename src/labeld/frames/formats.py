"""The tables of other libraries: reading a column of one, and a copy of it with further columns.

None of the libraries is needed: one is imported when there is a table of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from labeld.errors import InvalidRequestError
from labeld.types import Ranking

KNOWN = "a pandas or Polars data frame, a pyarrow table or record batch, or a dict of columns"


@dataclass(frozen=True, slots=True)
class Answers:
    """Columns with the answers to a table's texts, one entry a row; None where a row has no text."""

    labels: tuple[str, list[str | None]]
    """Name of the column with the best label, and its values."""
    scores: tuple[str, list[float | None]]
    """The same of its score."""
    rankings: tuple[str, list[Ranking | None]] | None
    """The same of the whole ranking, if it was asked for."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the tables of one library are read and extended."""

    names: Callable[[Any], list[Any]]
    """The names of a table's columns."""
    extended: Callable[[Any, Answers], Any]
    """A new table: the columns of a table, then the answers."""


def format_of(table: object) -> Format:
    """How to read this table; raises InvalidRequestError for anything that is not KNOWN."""
    if isinstance(table, Mapping):
        return COLUMNS
    for base in type(table).__mro__:
        found = FORMATS.get((base.__module__.partition(".")[0], base.__name__))
        if found:
            return found
    raise InvalidRequestError(f"The batch is {type(table).__name__}, but must be {KNOWN}.")


def values(table: Any, name: Any) -> list[Any]:
    """The Python objects of a table's column."""
    return listed(table[name])


def arrays(answers: Answers) -> dict[str, Any]:
    """The answers as numpy arrays: object, float64 with NaN for None, and object with lists of dicts."""
    (label, labels), (score, scores) = answers.labels, answers.scores
    found = {label: _objects(labels), score: np.array(scores, np.float64)}
    if answers.rankings:
        found[answers.rankings[0]] = _objects(_dicts(answers.rankings[1]))
    return found


def _objects(values: list[Any]) -> Any:
    """An array of one dimension, also of lists of equal lengths."""
    return np.fromiter(values, np.dtype(object), len(values))


def _dicts(rankings: list[Ranking | None]) -> list[list[dict[str, Any]] | None]:
    """Rankings as JSON has them."""
    return [None if ranking is None else [one._asdict() for one in ranking] for ranking in rankings]


def _mapping_extended(table: Mapping[str, Any], answers: Answers) -> dict[str, Any]:
    return {**table, **arrays(answers)}


def _pandas_extended(table: Any, answers: Answers) -> Any:
    return table.assign(**arrays(answers))


def _polars_extended(table: Any, answers: Answers) -> Any:
    import polars as pl  # noqa: PLC0415  # there is a table of it

    ranking = pl.List(pl.Struct({"label": pl.String, "score": pl.Float64}))
    columns = [
        pl.Series(*answers.labels, dtype=pl.String),
        pl.Series(*answers.scores, dtype=pl.Float64),
    ]
    if answers.rankings:
        columns.append(pl.Series(answers.rankings[0], _dicts(answers.rankings[1]), dtype=ranking))
    return table.with_columns(columns)


def _arrow_extended(table: Any, answers: Answers) -> Any:
    import pyarrow as pa  # noqa: PLC0415  # there is a table of it

    ranking = pa.list_(pa.struct([("label", pa.string()), ("score", pa.float64())]))
    columns = [(*answers.labels, pa.string()), (*answers.scores, pa.float64())]
    if answers.rankings:
        columns.append((answers.rankings[0], _dicts(answers.rankings[1]), ranking))
    for name, values, kind in columns:
        table = table.append_column(name, pa.array(values, kind))
    return table


def listed(column: Any) -> list[Any]:
    """The Python objects of a column: an array, a column of one of these libraries, a list or another sequence."""
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    return list(column)


COLUMNS = Format(list, _mapping_extended)
PANDAS = Format(lambda table: list(table.columns), _pandas_extended)
POLARS = Format(lambda table: list(table.columns), _polars_extended)
ARROW = Format(lambda table: list(table.schema.names), _arrow_extended)
FORMATS = {
    ("pandas", "DataFrame"): PANDAS,
    ("polars", "DataFrame"): POLARS,
    ("pyarrow", "Table"): ARROW,
    ("pyarrow", "RecordBatch"): ARROW,
}
