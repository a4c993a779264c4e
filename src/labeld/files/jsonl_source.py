"""Files of one JSON object a line. The first lines say which members there are and what type each has."""

import json
from collections.abc import Iterator
from io import BufferedReader
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from labeld.files.arrow import pa
from labeld.files.errors import FileError
from labeld.files.formats import Format
from labeld.files.sources import BadRow, Batch, Wanted
from labeld.files.streams import LONGEST_ROW, known_size, reading

ROWS = 4096
"""Lines of a batch, at most."""
BYTES = 8 << 20
"""Bytes of a batch after which no line is added."""
SHOWN = 40
"""Characters of a value that a reason shows."""


class Kind(NamedTuple):
    """A column's type: what its values are in JSON, and in arrow."""

    python: frozenset[type]
    arrow: Any


KINDS = (
    Kind(frozenset({str}), pa.string()),
    Kind(frozenset({bool}), pa.bool_()),
    Kind(frozenset({int}), pa.int64()),
    Kind(frozenset({int, float}), pa.float64()),
)
ANY = Kind(frozenset({str, bool, int, float, list, dict}), pa.string())
"""Strings as they are, and everything else as JSON, so that nothing of a list or an object is lost."""


class Line(NamedTuple):
    """A line that is not blank."""

    number: int
    text: bytes


class JsonlSource:
    """One jsonl file."""

    def __init__(self, path: str, stream: BufferedReader, kind: Format, wanted: Wanted) -> None:
        self.path, self._wanted = path, wanted
        self._stream = stream
        self._lines = self._read_lines(self._stream)
        self._first = self._next_lines()
        if self._first and self._first[0].text.startswith(b"["):
            raise FileError(f"{path} is a JSON list, not an object a line: convert it, for example with jq -c '.[]'.")
        self.is_empty = not self._first
        self._kinds = self._find_kinds()
        if self._first and not self._kinds and all(isinstance(_parsed(line.text), str) for line in self._first):
            raise FileError(f"{path} has no JSON object in a line: convert JSON over several lines with jq -c '.'.")
        self.schema = pa.schema([(name, kind.arrow) for name, kind in self._kinds.items()])
        self._columns = {name: kind for name, kind in self._kinds.items() if name in wanted}
        self.size = known_size(path, kind.compression)

    def batches(self) -> Iterator[Batch]:
        """Its rows; blank lines are none."""
        lines = self._first
        while lines:
            yield self._batch(lines)
            lines = self._next_lines()

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _read_lines(self, stream: BufferedReader) -> Iterator[Line]:
        number = 0
        while True:
            with reading(self.path, number):
                text = stream.readline(LONGEST_ROW)
            if not text:
                return
            number += 1
            if len(text) == LONGEST_ROW and not text.endswith(b"\n"):
                raise FileError(f"Line {number} of {self.path} is longer than {LONGEST_ROW >> 20} MB: shorten it.")
            stripped = text.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else text.strip()
            if stripped:
                yield Line(number, stripped)

    def _next_lines(self) -> list[Line]:
        found: list[Line] = []
        size = 0
        for line in islice(self._lines, ROWS):
            found.append(line)
            size += len(line.text)
            if size > BYTES:
                break
        return found

    def _find_kinds(self) -> dict[str, Kind]:
        """The members of the first lines, each with the kind that suits all its values there."""
        types: dict[str, set[type]] = {}
        for line in self._first:
            row = _parsed(line.text)
            for name, value in row.items() if isinstance(row, dict) else ():
                types.setdefault(name, set()).add(_type_of(value))
        return {
            name: KINDS[0] if name in self._wanted.texts else _kind_of(found - {type(None)})
            for name, found in types.items()
        }

    def _batch(self, lines: list[Line]) -> Batch:
        rows: list[tuple[Line, dict[str, Any]]] = []
        bad: list[BadRow] = []
        for line in lines:
            row = _parsed(line.text)
            if isinstance(row, str):
                bad.append(BadRow(self.path, line.number, row, line.text.decode(errors="backslashreplace")))
            elif self._wanted.others is None and (new := next((name for name in row if name not in self._kinds), None)):
                bad.append(BadRow(self.path, line.number, f"has {new!r}, which no row at the beginning has", row))
            elif taken := next((name for name in self._wanted.added if name in row), None):
                bad.append(BadRow(self.path, line.number, f"has {taken!r} already, which is to be added", row))
            else:
                rows.append((line, row))
        try:
            arrays = self._arrays(rows)
        except (TypeError, ValueError, OverflowError, RecursionError):  # also those of pyarrow
            misfits = {line.number: reason for line, row in rows if (reason := self._misfit(row))}
            bad += [
                BadRow(self.path, line.number, misfits[line.number], row)
                for line, row in rows
                if line.number in misfits
            ]
            rows = [one for one in rows if one[0].number not in misfits]
            arrays = self._arrays(rows)
        return Batch(
            pa.record_batch(arrays, names=list(self._columns)),
            np.array([line.number for line, _ in rows], np.int64),
            tuple(sorted(bad, key=lambda row: row.line)),
            sum(len(line.text) + 1 for line in lines),
            tuple(line.text for line, _ in rows),
        )

    def _arrays(self, rows: list[tuple[Line, dict[str, Any]]]) -> list[Any]:
        """The columns; raises what pyarrow raises, or TypeError, for values of other types."""
        return [_array([row.get(name) for _, row in rows], kind) for name, kind in self._columns.items()]

    def _misfit(self, row: dict[str, Any]) -> str | None:
        """The complaint about the first value that does not suit its column, or None."""
        for name, kind in self._columns.items():
            value = row.get(name)
            try:
                _array([value], kind)
            except UnicodeEncodeError:
                return f"has half of a surrogate pair, which is no character, in column {name!r}"
            except RecursionError:
                return f"has a value in column {name!r} that is nested too deep"
            except (TypeError, ValueError, OverflowError):
                shown = json.dumps(value, ensure_ascii=False)[:SHOWN]
                must = "must have a string" if name in self._wanted.texts else f"the first rows have {kind.arrow}"
                return f"has {shown} in column {name!r}, but {must}"
        return None


def _parsed(text: bytes) -> dict[str, Any] | str:
    """The object of a line, or what is wrong with it."""
    try:
        row = json.loads(text.decode())
    except UnicodeDecodeError:
        return "is not UTF-8"
    except (ValueError, RecursionError):
        return "is not JSON"
    return row if isinstance(row, dict) else "is JSON, but not an object"


def _type_of(value: Any) -> type:
    """The type that decides on a column's: an integer that is too large for arrow is kept as its text."""
    is_large = type(value) is int and not -(2**63) <= value < 2**63
    return list if is_large else type(value)


def _kind_of(types: set[type]) -> Kind:
    return next((kind for kind in KINDS if types <= kind.python), ANY)


def _array(values: list[Any], kind: Kind) -> Any:
    if not {type(value) for value in values} - {type(None)} <= kind.python:
        raise TypeError
    if kind is ANY:
        values = [
            value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for value in values
        ]
    return pa.array(values, kind.arrow)
