"""What one setting is made of: its field, amounts of bytes, and the check of a value."""

import re
from dataclasses import Field, field
from typing import Any, Literal, Self, get_args, get_origin

from labeld.errors import SettingsError

UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", 1):
    UNITS |= {f"{_letter}B": 1000**_power, f"{_letter}IB": 1024**_power}


class ByteSize(str):
    """Bytes, such as 4GiB or 500MB, or a part of all there is, such as 70%. ValueError when it is neither."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Refuses what is no amount."""
        amount = super().__new__(cls, text)
        amount.of(0)
        return amount

    def of(self, whole: int) -> int:
        """In bytes, where all there is are so many."""
        parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?I?B|%|)", self.strip().upper())
        if parts is None or parts[2] == "IB":
            raise ValueError(f"{str(self)!r} is neither bytes nor a share")
        return int(float(parts[1]) * (whole / 100 if parts[2] == "%" else UNITS[parts[2]]))


def setting(
    default: Any, text: str, *, minimum: float | None = None, maximum: float | None = None, secret: bool = False
) -> Any:
    """A field with its help text and, for numbers, the smallest and the largest value that make sense.

    A secret has no flag, because everybody on the machine sees the command line.
    """
    metadata = {"help": text, "least": minimum, "most": maximum, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


def validate(one: Field[Any], source: str, value: Any, kind: Any) -> Any:
    """`value` as the setting's type and within its bounds, or SettingsError naming where it came from."""
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
    except (ValueError, KeyError):
        raise SettingsError(f"{source} is {value!r}, but must be {_kind_name(kind)}.") from None
    minimum = one.metadata["least"]
    if minimum is not None and not converted >= minimum:  # NOTE: not `<`, so that nan is refused too
        raise SettingsError(f"{source} is {value!r}, but must be at least {minimum:g}.")
    maximum = one.metadata["most"]
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
