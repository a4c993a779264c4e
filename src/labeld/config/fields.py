"""The parts of a setting: its dataclass field, byte sizes, and the validation of a value."""

import math
import re
from dataclasses import Field, field
from typing import Any, Literal, Self, get_args, get_origin

from labeld.errors import SettingsError

UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", 1):
    UNITS |= {f"{_letter}B": 1000**_power, f"{_letter}IB": 1024**_power}


LARGEST_FLOAT = 1e9
"""Largest value of a setting with a fraction that has no maximum of its own; timers take no more seconds than that."""


class ByteSize(str):
    """A number of bytes, such as 4GiB or 500MB, or a share such as 70%. Raises ValueError for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Raises ValueError when the text is neither bytes nor a share."""
        size = super().__new__(cls, text)
        size.of(0)
        return size

    def of(self, whole: int) -> int:
        """The size in bytes; a share is one of `whole` bytes."""
        parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?I?B|%|)", self.strip().upper())
        if parts is None or parts[2] == "IB":
            raise ValueError(f"{str(self)!r} is neither bytes nor a share")
        return int(float(parts[1]) * (whole / 100 if parts[2] == "%" else UNITS[parts[2]]))


def setting(
    default: Any, text: str, *, minimum: float | None = None, maximum: float | None = None, secret: bool = False
) -> Any:
    """A dataclass field for a setting, with its help text and, for numbers, inclusive bounds.

    A secret has no flag, because every user of the machine can read the command line.
    """
    metadata = {"help": text, "minimum": minimum, "maximum": maximum, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


def validate(one: Field[Any], source: str, value: Any, kind: Any) -> Any:
    """The value as the setting's type; raises SettingsError naming its source when it is malformed or out of bounds."""
    if get_origin(kind) is tuple:
        return tuple(value.split(",")) if isinstance(value, str) else tuple(value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise SettingsError(f"{source} is {value!r}, but must be {' or '.join(get_args(kind))}.")
        return value
    kind = next((part for part in get_args(kind) if part is not type(None)), kind)
    words = {"1": True, "true": True, "yes": True, "on": True, "": False}
    words |= {"0": False, "false": False, "no": False, "off": False}
    try:
        converted = words[str(value).lower()] if kind is bool else kind(value)
    except (ValueError, KeyError, OverflowError):  # the last one is a number of hundreds of digits
        raise SettingsError(f"{source} is {value!r}, but must be {_kind_name(kind)}.") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise SettingsError(f"{source} is {value!r}, but must be a finite number.")
    minimum = one.metadata["minimum"]
    if minimum is not None and converted < minimum:
        raise SettingsError(f"{source} is {value!r}, but must be at least {minimum:g}.")
    maximum = one.metadata["maximum"]
    if maximum is None and isinstance(converted, float):
        maximum = LARGEST_FLOAT
    if maximum is not None and converted > maximum:
        raise SettingsError(f"{source} is {value!r}, but must be at most {maximum:g}.")
    return converted


def _kind_name(kind: Any) -> str:
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        ByteSize: "bytes like 4GiB or a share like 70%",
    }
    return words.get(kind, "a path")
