"""Failures of reading a request's values. The base class and general failures are in labeld/errors.py."""

from collections.abc import Sequence
from typing import Any

from labeld.errors import InvalidRequestError
from labeld.interface import Interface

SHOWN_CHARACTERS = 60
"""Characters of a wrong value that a sentence shows, at most; of a string 40."""

SHOWN_LABELS = 20

_KINDS = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}


class InvalidParameterError(InvalidRequestError):
    """A parameter of rankings has an impossible value.

    `allowed` describes the possible ones, with {null}, {true} and {false} for those of the caller's language.
    """

    def __init__(self, name: str, allowed: str, value: Any) -> None:
        super().__init__(name, allowed, value)
        self.name, self.allowed, self.value = name, allowed, value

    def sentence(self, interface: Interface) -> str:
        """Names the parameter, its possible values, and the one that was given."""
        value = repr(self.value)[:SHOWN_CHARACTERS] if interface is Interface.PYTHON else shown(self.value)
        return f"{interface.parameter(self.name)} must be {interface.values(self.allowed)}, but is {value}."


class NoWindowsError(InvalidRequestError):
    """A parameter of windows was given where no text is read in windows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def sentence(self, interface: Interface) -> str:
        """Names the parameter, and the one by which texts are read in windows."""
        return (
            f"{interface.parameter(self.name)} is about texts that are read in windows, and these are not: give "
            f"{interface.parameter('stride')} as well, or leave it out."
        )


class TooManyTextsError(InvalidRequestError):
    """A list or a body has more texts than one request may have."""


class UnknownLabelError(InvalidRequestError):
    """A parameter names a label that the model does not have."""

    def __init__(self, name: str, label: str, labels: Sequence[str]) -> None:
        super().__init__(name, label, tuple(labels))
        self.name, self.label, self.labels = name, label, tuple(labels)

    def sentence(self, interface: Interface) -> str:
        """Names the parameter, the label, and the first labels of the model."""
        more = f" and {len(self.labels) - SHOWN_LABELS} more" if len(self.labels) > SHOWN_LABELS else ""
        return (
            f"{interface.parameter(self.name)} names the label {self.label[:40]!r}, but this model has "
            f"{', '.join(label[:40] for label in self.labels[:SHOWN_LABELS])}{more}."
        )


def shown(value: Any) -> str:
    """A wrong JSON value as a sentence shows it: a string or a number itself, of others the kind."""
    if isinstance(value, str):
        return repr(value[:40])
    return (str(value) if type(value) in (int, float) else kind(value))[:SHOWN_CHARACTERS]


def kind(value: Any) -> str:
    """The kind of a JSON value, in words."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else _KINDS.get(type(value), "")


def wrong_value(place: str, allowed: str, value: Any, way_out: str = "") -> InvalidRequestError:
    """The error for a wrong value at `place`; `...` stands for no value at all."""
    is_missing = value is ...
    sentence = f"`{place}` is missing" if is_missing else f"`{place}` must be {allowed}, but is {shown(value)}"
    return InvalidRequestError(f"{sentence}: {way_out}." if way_out else f"{sentence}.")
