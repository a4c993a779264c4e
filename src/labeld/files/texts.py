"""Columns of texts, of any type that can have them, and rows as plain values."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from labeld.files.arrow import pa

STRING_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
TEXT_TYPES = (
    *STRING_TYPES,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_null,
)
UNITS = ("s", "ms", "us", "ns")
"""Of times, the finest last."""


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
            (row[name],) = values(column.slice(position, 1))
    return row


def values(column: Any) -> list[Any]:
    """The Python objects of a column; a time that Python cannot hold is text in the form of ISO 8601."""
    if _is_finer(column.type):
        return [_value(one) for one in column]
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        return [_value(one) for one in column]


def _is_finer(kind: Any) -> bool:
    """Whether there are times in it of nanoseconds of a day, which pyarrow cuts to Python's microseconds."""
    if pa.types.is_dictionary(kind):
        return _is_finer(kind.value_type)
    return bool(kind == pa.time64("ns")) or any(_is_finer(kind.field(one).type) for one in range(kind.num_fields))


def _value(scalar: Any) -> Any:
    if not scalar.is_valid:
        return None
    if not _is_finer(scalar.type):
        with suppress(ValueError, OverflowError, pa.ArrowException):
            return scalar.as_py()
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(one) for name, one in scalar.items()}
    is_list = isinstance(scalar, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar)
    return values(scalar.values) if is_list else _time(scalar)


def _time(scalar: Any) -> str:
    kind = scalar.type
    if pa.types.is_timestamp(kind):
        return f"{np.datetime64(scalar.value, kind.unit)}{'Z' if kind.tz else ''}"
    if pa.types.is_date(kind):
        return str(np.datetime64(scalar.value, "D" if pa.types.is_date32(kind) else "ms"))
    try:
        return str(scalar.cast(pa.string()).as_py())
    except pa.ArrowException:
        return str(getattr(scalar, "value", None))


def common_type(first: Any, other: Any) -> Any:
    """The pyarrow.DataType of a column that has values of both; None where there is none that loses nothing.

    What is a string in one is one in the other too: as a number it might lose zeros.
    """
    if first == other or pa.types.is_null(other):
        return first
    if pa.types.is_null(first):
        return other
    first, other = (one.value_type if pa.types.is_dictionary(one) else one for one in (first, other))
    if is_text(first) or is_text(other):
        is_plain = all(is_text(one) or pa.types.is_primitive(one) or pa.types.is_decimal(one) for one in (first, other))
        return pa.string() if is_plain else None
    return first if first == other else _common_number(first, other)


def _common_number(first: Any, other: Any) -> Any:
    """The wider of two numbers, or the finer of two times; None for others."""
    for matches in (pa.types.is_signed_integer, pa.types.is_unsigned_integer, pa.types.is_floating):
        if matches(first) and matches(other):
            return max(first, other, key=lambda kind: kind.bit_width)
    for one, two in ((first, other), (other, first)):
        if pa.types.is_integer(one) and pa.types.is_floating(two):
            return pa.float64()
    if pa.types.is_timestamp(first) and pa.types.is_timestamp(other) and first.tz == other.tz:
        return max(first, other, key=lambda kind: UNITS.index(kind.unit))
    return None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
