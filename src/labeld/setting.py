"""What one setting is made of: its field, and amounts of bytes."""

import re
from dataclasses import field
from typing import Any, Self

UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", 1):
    UNITS |= {f"{_letter}B": 1000**_power, f"{_letter}IB": 1024**_power}


class Amount(str):
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
    default: Any, text: str, *, least: float | None = None, most: float | None = None, secret: bool = False
) -> Any:
    """A field with its help text and, for numbers, the smallest and the largest value that make sense.

    A secret has no flag, because everybody on the machine sees the command line.
    """
    metadata = {"help": text, "least": least, "most": most, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)
