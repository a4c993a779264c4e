"""Labels as other people write them -> the ids of a model's labels."""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"\s*([0-9]{1,9})", re.ASCII)


class LabelIndex:
    """Finds the label of a model that a label means: by its name, by that in another case, or by its id.

    Ids count where no label's name is a number, or begins with one that is not its id, such as the `1 star` of id 0.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._names = {label: index for index, label in reversed([*enumerate(labels)])}
        self._folded: dict[str, int | None] = {}
        for index, label in enumerate(labels):
            self._folded[label.casefold()] = None if label.casefold() in self._folded else index
        has_numbers = any(label.strip().isdecimal() or _has_other_id(label, own) for own, label in enumerate(labels))
        self._ids = 0 if has_numbers else len(labels)
        self.by_id: set[int] = set()
        """The ids that were found as such."""

    def find(self, label: str) -> int | None:
        """The id of the label; None where it means none, or several."""
        plain = label.strip()
        index = self._names.get(label, self._names.get(plain, self._folded.get(plain.casefold())))
        if index is None and plain.isascii() and plain.isdecimal() and int(plain) < self._ids:
            self.by_id.add(int(plain))
            return int(plain)
        return index


def _has_other_id(label: str, own: int) -> bool:
    number = _NUMBER.match(label)
    return number is not None and int(number[1]) != own


def text_of(value: object) -> str:
    """A label as text: 1.0, which some formats make of whole numbers, is 1, and a truth value is in lower case."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
