"""Rows with their answers as the bytes of a file: csv and tsv, JSON lines, and arrow streams.

Each piece of bytes stands for itself: those of a file's parts behind each other are the file.
"""

import base64
import bz2
import gzip
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from labeld.files.arrow import pa, pa_csv
from labeld.files.csv_source import DELIMITERS
from labeld.files.formats import Compression, FormatName
from labeld.files.reader import Part
from labeld.files.texts import values

SCORES = pa.list_(pa.struct([("label", pa.string()), ("score", pa.float64())]))
"""The type of a column with all scores of a text, best first."""

COMPRESS: dict[Compression | None, Callable[[bytes], bytes]] = {
    None: lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),  # without the time, so that equal rows are equal bytes
    "bz2": bz2.compress,
    "zstd": lambda data: bytes(pa.Codec("zstd").compress(data, asbytes=True)),
}


def json_text(value: Any) -> str:
    """A value as JSON: numbers that are not finite are null, times are ISO 8601, and bytes base64."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_simple)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_simple)


def json_line(value: Any) -> bytes:
    """A value as one line of JSON in UTF-8."""
    # NOTE: half a surrogate pair is written as JSON's own \ud800
    return json_text(value).encode("utf-8", "backslashreplace") + b"\n"


def encoder(name: FormatName, schema: Any, added: Sequence[Any]) -> "Encoder":
    """The encoder of a format, for rows of this schema with these pyarrow.Fields added behind it."""
    if name in DELIMITERS:
        return CsvEncoder(schema, added, DELIMITERS[name])
    return JsonlEncoder(schema, added) if name == "jsonl" else ArrowEncoder(schema, added)


class Encoder:
    """Encodes parts with their answers; an arrow stream for each part unless a subclass says otherwise."""

    def __init__(self, schema: Any, added: Sequence[Any]) -> None:
        self.added = tuple(added)
        kept = [pa.field(one.name, _decoded_type(one.type)) for one in schema]
        self.schema = pa.schema([*kept, *added], schema.metadata)
        """pyarrow.Schema of the rows, with those added."""

    def beginning(self) -> bytes:
        """The bytes before the first part."""
        return b""

    def encode(self, part: Part, answers: Sequence[Sequence[Any]]) -> bytes:
        """The bytes of a part whose added columns have these values."""
        raise NotImplementedError

    def table(self, part: Part, answers: Sequence[Sequence[Any]]) -> Any:
        """The part's columns and those added, as one pyarrow.RecordBatch."""
        kept = [
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            for column in part.table.columns
        ]
        new = [pa.array(added, field.type) for field, added in zip(self.added, answers, strict=True)]
        return pa.record_batch([*kept, *new], schema=self.schema)


class ArrowEncoder(Encoder):
    """An arrow stream for each part."""

    def encode(self, part: Part, answers: Sequence[Sequence[Any]]) -> bytes:
        """The bytes of a part whose added columns have these values."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.schema) as stream:
            stream.write_batch(self.table(part, answers))
        return bytes(sink.getvalue())


class JsonlEncoder(Encoder):
    """A JSON object a line; the text of an object that was JSON already is kept as it is."""

    def encode(self, part: Part, answers: Sequence[Sequence[Any]]) -> bytes:
        """The bytes of a part whose added columns have these values."""
        names = [field.name for field in self.added]
        new = [json_line(dict(zip(names, row, strict=True))) for row in zip(*answers, strict=True)]
        old = part.json or [json_line(row).rstrip() for row in _rows(part.table)]
        return b"".join(b"%b, %b" % (before[:-1].rstrip(), after[1:]) for before, after in zip(old, new, strict=True))


class CsvEncoder(Encoder):
    """csv with every string in quotes, so that an empty string is none that is null."""

    def __init__(self, schema: Any, added: Sequence[Any], delimiter: str) -> None:
        super().__init__(schema, added)
        self._delimiter = delimiter

    def beginning(self) -> bytes:
        """The names of the columns."""
        fields = [pa.field(name, pa.string()) for name in self.schema.names]
        return self._written(pa.RecordBatch.from_pylist([], pa.schema(fields)), header=True)

    def encode(self, part: Part, answers: Sequence[Sequence[Any]]) -> bytes:
        """The bytes of a part whose added columns have these values."""
        table = self.table(part, answers)
        return self._written(pa.record_batch(list(map(_flat, table.columns)), names=table.schema.names), header=False)

    def _written(self, table: Any, *, header: bool) -> bytes:
        sink = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=header, delimiter=self._delimiter, quoting_style="needed")
        pa_csv.write_csv(table, sink, options)
        return sink.getvalue()


def _flat(column: Any) -> Any:
    """A column as one of strings or numbers; what is nested becomes JSON."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return column
    return pa.array(map(_field, values(column)), pa.string())


def _rows(table: Any) -> list[dict[str, Any]]:
    columns = [values(column) for column in table.columns]
    return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _field(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json_text(value) if isinstance(value, list | dict | tuple) else _simple(value)


def _simple(value: Any) -> str:
    """A value that JSON does not know as a string."""
    if isinstance(value, bytes):  # all are base64: with those that are UTF-8 as text, nobody could tell them apart
        return base64.b64encode(value).decode()
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _decoded_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
