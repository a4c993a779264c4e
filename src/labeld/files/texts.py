"""Columns of texts, of any type that can have them, and rows as plain values."""

import json
from collections.abc import Sequence
from typing import Any

from labeld.files.arrow import pa

STRING_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
TEXT_TYPES = (
    *STRING_TYPES,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_null,
)


def is_string(kind: Any) -> bool:
    """Whether the values of a pyarrow.DataType are strings."""
    return any(matches(kind) for matches in STRING_TYPES)


def is_text(kind: Any) -> bool:
    """Whether a pyarrow.DataType can have texts."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return any(matches(kind) for matches in TEXT_TYPES)


def as_strings(array: Any) -> tuple[Any, list[int]]:
    """A column of texts as pyarrow strings, and the positions of those that are not UTF-8, which are null there."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return array.cast(pa.string()), []
    raw = array.cast(pa.binary())
    try:
        return raw.cast(pa.string()), []
    except pa.ArrowInvalid:
        values = raw.to_pylist()
        broken = [position for position, value in enumerate(values) if value is not None and not _is_utf8(value)]
        for position in broken:
            values[position] = None
        return pa.array(values, pa.binary()).cast(pa.string()), broken


def plain(table: Any, json_lines: Sequence[bytes] | None, position: int) -> dict[str, Any]:
    """A row of a pyarrow.RecordBatch by column, or its own JSON object; bytes that are no UTF-8 are escaped."""
    if json_lines is not None:
        return dict(json.loads(json_lines[position]))
    row = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if is_text(column.type):
            value = column.slice(position, 1)
            value = value.dictionary_decode() if pa.types.is_dictionary(column.type) else value
            (raw,) = [None] if pa.types.is_null(value.type) else value.cast(pa.binary()).to_pylist()
            row[name] = None if raw is None else raw.decode(errors="backslashreplace")
        else:
            row[name] = column[position].as_py()
    return row


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
