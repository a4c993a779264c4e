"""The shapes that values of a configuration file have: each reads a node, and describes itself as JSON schema.

A shape adds a mistake for whatever is wrong and goes on; what it then gives is not used.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from labeld.config import yaml_nodes
from labeld.config.json_types import ANY_SCALAR, any_case
from labeld.config.mistakes import Mistake, Place, shortened
from labeld.config.yaml_nodes import Node, Scalar, Sequence, Unread

Path = tuple[str, ...]
"""Names of the mappings on the way to a value."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
MOST_LABEL = 200
"""Characters of a label's name, at most."""


@dataclass(slots=True)
class Reading:
    """The mistakes found so far, and the position of each value."""

    mistakes: list[Mistake] = field(default_factory=list)
    places: dict[Path, Place] = field(default_factory=dict)

    def wrong(self, place: Place, path: Path, sentence: str) -> None:
        """Adds a mistake; the sentence goes on after the path."""
        name = ".".join(path)
        self.mistakes.append(Mistake(place, shortened(name), shortened(f"{name or 'The file'} {sentence}")))


class Shape(Protocol):
    """A kind of value."""

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """The value of a node; adds to the reading's mistakes where it has none."""
        ...

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its nodes."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text, of a form that `fits` decides."""

    what: str = "a text"
    fits: Callable[[str], bool] = bool
    more_schema: Mapping[str, Any] = field(default_factory=dict)

    def read(self, node: Node, path: Path, reading: Reading) -> str:
        """The value of a node."""
        text = scalar(node, path, reading, self.what)
        if text is not None and not self.fits(text.text):
            reading.wrong(node.place, path, f"is {text.text!r}, but must be {self.what}.")
        return text.text if text else ""

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"type": list(ANY_SCALAR), **self.more_schema}


@dataclass(frozen=True, slots=True)
class Number:
    """A number from 0 to `maximum`; with `above`, 0 is none of them."""

    above: bool = False
    maximum: float = 1

    def read(self, node: Node, path: Path, reading: Reading) -> float:
        """The value of a node."""
        what = f"a number {'above 0' if self.above else 'from 0'} {'up ' if self.above else ''}to {self.maximum:g}"
        text = scalar(node, path, reading, what)
        if text is None:
            return 0.0
        value = float(text.text) if text.plain and NUMBER.fullmatch(text.text) else -1.0
        if not 0 <= value <= self.maximum or (self.above and value == 0):
            reading.wrong(node.place, path, f"is {text.text!r}, but must be {what}.")
        return value

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"type": "number", "exclusiveMinimum" if self.above else "minimum": 0, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `minimum`."""

    minimum: int

    def read(self, node: Node, path: Path, reading: Reading) -> int:
        """The value of a node."""
        what = f"a whole number from {self.minimum}"
        text = scalar(node, path, reading, what)
        if text is None:
            return self.minimum
        value = int(text.text) if text.plain and WHOLE.fullmatch(text.text) else self.minimum - 1
        if value < self.minimum:
            reading.wrong(node.place, path, f"is {text.text!r}, but must be {what}.")
        return value

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"type": "integer", "minimum": self.minimum}


@dataclass(frozen=True, slots=True)
class Switch:
    """true or false."""

    def read(self, node: Node, path: Path, reading: Reading) -> bool:
        """The value of a node."""
        text = scalar(node, path, reading, "true or false")
        if text is None:
            return False
        if not text.plain or text.text.lower() not in SWITCH:
            reading.wrong(node.place, path, f"is {text.text!r}, but must be true or false.")
        return SWITCH.get(text.text.lower(), False)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema: `yes` is a text in YAML 1.2, which editors read."""
        return {"type": ["boolean", "string"], "pattern": any_case(SWITCH)}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these words."""

    words: tuple[str, ...]

    def read(self, node: Node, path: Path, reading: Reading) -> str:
        """The value of a node."""
        text = scalar(node, path, reading, f"one of {', '.join(self.words)}")
        if text is not None and text.text not in self.words:
            hint = nearest(text.text, self.words) or "."
            reading.wrong(node.place, path, f"is {text.text!r}, but must be one of {', '.join(self.words)}{hint}")
        return text.text if text else ""

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of values of one shape."""

    item: Shape

    def read(self, node: Node, path: Path, reading: Reading) -> tuple[Any, ...]:
        """The value of a node."""
        if isinstance(node, Sequence):
            return tuple([self.item.read(one, path, reading) for one in node.items])
        if not isinstance(node, Unread):
            reading.wrong(node.place, path, "must be a list: write `[one, other]`.")
        return ()

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"type": "array", "items": self.item.schema()}


LABEL = Text(f"a label of 1 to {MOST_LABEL} characters", lambda text: 0 < len(text) <= MOST_LABEL)


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping whose keys are names of the file's own, all with one shape of value."""

    key: Text
    value: Shape
    build: Callable[[str, Any], Any] = lambda _, value: value
    """Makes of a key and its value what the table has for it."""
    least: int = 0
    """Keys that it has at least; 0 or 1."""

    def read(self, node: Node, path: Path, reading: Reading) -> dict[str, Any]:
        """The value of a node."""
        found = {}
        for key, value in pairs(node, path, reading):
            self.key.read(key, (*path, key.text), reading)
            found[key.text] = self.build(key.text, self.value.read(value, (*path, key.text), reading))
        if len(found) < self.least and isinstance(node, yaml_nodes.Mapping):
            reading.wrong(node.place, path, "is empty: name one at least, or leave it out.")
        return found

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        names = {"propertyNames": self.key.more_schema} if self.key.more_schema else {}
        least = {"minProperties": self.least} if self.least else {}
        return {"type": "object", **names, **least, "additionalProperties": self.value.schema()}


class Member(NamedTuple):
    """One value of a record."""

    shape: Shape
    text: str
    """Its meaning, for editors."""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with these keys, of which `build` makes its value; those that are left out it is not given."""

    members: Mapping[str, Member]
    build: Callable[..., Any] = dict
    refused: Mapping[str, str] = field(default_factory=dict)
    """Keys that are known and do not belong here, with what to say of them."""

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """The value of a node."""
        given = {}
        for key, value in pairs(node, path, reading):
            if key.text in self.refused:
                reading.wrong(key.place, (*path, key.text), self.refused[key.text])
            elif key.text in self.members:
                given[key.text] = self.members[key.text].shape.read(value, (*path, key.text), reading)
            else:
                known = nearest(key.text, self.members) or f": it must be one of {', '.join(self.members)}."
                place = f"in {'.'.join(path)}" if path else "here"
                reading.wrong(key.place, (*path, key.text), f"is not known {place}{known}")
        missing = [name for name, member in self.members.items() if member.required and name not in given]
        if missing and isinstance(node, yaml_nodes.Mapping):
            what = f"has no {' and no '.join(missing)}: add {'it' if len(missing) == 1 else 'them'}."
            reading.wrong(reading.places.get(path, node.place), path, what)
        return None if reading.mistakes else self.build(**given)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        required = [name for name, member in self.members.items() if member.required]
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {**one.shape.schema(), "description": one.text} for name, one in self.members.items()},
            **({"required": required} if required else {}),
        }


@dataclass(frozen=True, slots=True)
class NumberOrTable:
    """A number from 0 to 1 for all labels, or one by label."""

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """The value of a node."""
        return (Table(LABEL, Number()) if isinstance(node, yaml_nodes.Mapping) else Number()).read(node, path, reading)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return {"oneOf": [Number().schema(), Table(LABEL, Number()).schema()]}


def scalar(node: Node, path: Path, reading: Reading, what: str) -> Scalar | None:
    """The node if it is a text; else None, and a mistake."""
    if isinstance(node, Scalar) and not node.is_null:
        return node
    if isinstance(node, Scalar):
        reading.wrong(node.place, path, f"has no value: give {what}, or leave it out.")
    elif not isinstance(node, Unread):
        kind = "a list" if isinstance(node, Sequence) else "a mapping"
        reading.wrong(node.place, path, f"is {kind}, but must be {what}.")
    return None


def pairs(node: Node, path: Path, reading: Reading) -> Iterable[tuple[Scalar, Node]]:
    """Keys and values of a mapping, each key once; mistakes for what is none. Records their positions."""
    if isinstance(node, Scalar) and node.is_null:
        reading.wrong(node.place, path, "has no value: indent what belongs to it, or leave it out.")
    elif isinstance(node, Scalar | Sequence):
        kind = "a list" if isinstance(node, Sequence) else f"{node.text!r}"
        reading.wrong(node.place, path, f"is {kind}, but must be a mapping, with `key: value` on each line.")
    seen: dict[str, Place] = {}
    for key, value in node.pairs if isinstance(node, yaml_nodes.Mapping) else ():
        if not isinstance(key, Scalar):
            reading.wrong(key.place, path, "has a key that is no text: write a name before the colon.")
        elif key.text in seen:
            reading.wrong(key.place, (*path, key.text), f"is there twice, first in line {seen[key.text].line}.")
        else:
            seen[key.text] = key.place
            reading.places[*path, key.text] = key.place
            yield key, value


def nearest(name: str, known: Iterable[str]) -> str:
    """`: is it NAME?`, with the most similar known name; empty where none is similar."""
    near = difflib.get_close_matches(name[:MOST_LABEL], list(known), 1)
    return f": is it {near[0]}?" if near else ""
