"""Failures of reading a request's values. The base class and general failures are in labeld/errors.py."""

from typing import Any

from labeld.errors import InvalidRequestError
from labeld.interface import Interface

SHOWN_CHARACTERS = 60
"""Characters of a wrong value that a sentence shows, at most; of a string 40."""

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


def shown(value: Any) -> str:
    """A wrong JSON value as a sentence shows it: a string or a number itself, of others the kind."""
    if isinstance(value, str):
        return repr(value[:40])
    return (str(value) if type(value) in (int, float) else kind(value))[:SHOWN_CHARACTERS]


def kind(value: Any) -> str:
    """The kind of a JSON value, in words."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else _KINDS.get(type(value), "")
