"""The text of a YAML file -> its nodes with their lines, within limits. Nothing is constructed, only read.

Scalars stay the text that the file has, so that a label may be called `no` and a size `010`. Anchors, aliases and tags
are mistakes: what a file says stands where it counts, and no text is larger than it looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labeld.config.mistakes import Mistake, Place

MOST_DEPTH = 16
"""Nesting of a file, at most; a good one has 6."""
NULLS = {"", "~", "null", "Null", "NULL"}
"""Plain scalars that stand for nothing."""

_HINTS = (
    ("'\\t'", "a tab cannot indent, and cannot begin a value: use spaces"),
    ("mapping values are not allowed", "a colon is not expected here: check the indentation, or quote the value"),
    ("expected <block end>", "this fits nothing above it: check the indentation"),
    ("could not find expected ':'", "a key has no colon, or no space after its colon"),
    ("unexpected end of stream", "a quote is opened and never closed"),
    ("found unexpected document", "a quote is opened and never closed"),
    ("expected ',' or", "a bracket or a brace is not closed, or a comma is missing"),
    ("cannot start any token", "a value cannot begin with this character: quote it"),
    ("unknown escape character", "a double-quoted text has an unknown escape: double the backslash, or quote with '"),
    ("block sequence entries are not allowed", "a list cannot begin here: put the dash on a line of its own"),
)
"""Parts of the parser's messages, and what to say instead."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; `plain` where it stands without quotes."""

    place: Place
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """True where nothing is said."""
        return self.plain and self.text in NULLS


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file; a key may be there twice."""

    place: Place
    pairs: tuple[tuple["Node", "Node"], ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """An alias, of which a mistake is known already."""

    place: Place


Node = Scalar | Sequence | Mapping | Unread


class UnreadableError(Exception):
    """The rest of the text cannot be read because of this mistake."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake)
        self.mistake = mistake


def read_nodes(text: str, mistakes: list[Mistake]) -> Node:
    """The one document of a YAML text; an empty one is a null.

    Adds a mistake for each anchor, alias and tag. Raises UnreadableError for what is no YAML, several documents, or
    nesting without end.
    """
    import yaml  # noqa: PLC0415  # only who has a configuration file pays for it

    try:
        return _Parser(iter(yaml.parse(text, Loader=yaml.SafeLoader)), mistakes).document()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _unreadable(place, "a control character cannot stand in YAML: remove it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = f"{error.context} {error.problem}"
        hint = next((hint for part, hint in _HINTS if part in said), "check the quotes and the indentation")
        raise _unreadable(_place(mark) if mark else Place(1, 1), hint) from None


class _Parser:
    """Makes nodes of the parser's events."""

    def __init__(self, events: Iterator[Any], mistakes: list[Mistake]) -> None:
        self._events, self._mistakes = events, mistakes

    def document(self) -> Node:
        """The only document of the stream."""
        next(self._events)  # the start of the stream
        if self._kind(next(self._events)) == "StreamEnd":
            return Scalar(Place(1, 1), "")
        node = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        following = next(self._events)
        if self._kind(following) == "DocumentStart":
            raise _unreadable(_place(following.start_mark), "a second document begins: keep one, without `---`")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        place, kind = _place(event.start_mark), self._kind(event)
        if kind == "Alias":
            self._refuse(place, f"*{event.anchor} is an alias, which is not read: write its value out")
            return Unread(place)
        if event.anchor is not None:
            self._refuse(place, f"&{event.anchor} is an anchor, which is not read: leave it out")
        if event.tag is not None and event.tag != "!":
            self._refuse(place, f"{event.tag} is a tag, which is not read: leave it out")
        if kind == "Scalar":
            return Scalar(place, event.value, event.style is None)
        if depth == MOST_DEPTH:
            raise _unreadable(place, f"this is nested more than {MOST_DEPTH} deep: remove what is around it")
        children = list(self._children(depth + 1))
        if kind == "SequenceStart":
            return Sequence(place, tuple(children))
        return Mapping(place, tuple(zip(children[::2], children[1::2], strict=True)))

    def _children(self, depth: int) -> Iterator[Node]:
        while self._kind(event := next(self._events)) not in {"SequenceEnd", "MappingEnd"}:
            yield self._node(event, depth)

    def _refuse(self, place: Place, sentence: str) -> None:
        self._mistakes.append(Mistake(place, "", f"{sentence}."))

    @staticmethod
    def _kind(event: Any) -> str:
        return type(event).__name__.removesuffix("Event")


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _unreadable(place: Place, hint: str) -> UnreadableError:
    return UnreadableError(Mistake(place, "", f"This is no YAML that can be read: {hint}."))
