"""Mistakes in a configuration file, each with its line, and the error that has them all."""

from typing import Any, NamedTuple

from labeld.errors import SettingsError
from labeld.interface import Interface

MOST_SHOWN = 50
"""Mistakes that the error's sentence has, at most; the others are counted."""
MOST_CHARACTERS = 400
"""Characters of one mistake's sentence, at most: it quotes what the file says."""


class Place(NamedTuple):
    """A position in a file; both numbers count from 1."""

    line: int
    column: int


class Mistake(NamedTuple):
    """One thing that is wrong in a file."""

    place: Place
    path: str
    """The names of the mappings that it stands in, such as `models.sentiment.pin`; empty for the file itself."""
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """The mistake as a JSON object."""
        return {"line": self.place.line, "column": self.place.column, "path": self.path, "message": self.sentence}


class ConfigFileError(SettingsError):
    """A configuration file cannot be used; `mistakes` are all that were found, in the order of the file."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        super().__init__(file, mistakes)
        self.file, self.mistakes = file, sorted(mistakes)

    def sentence(self, interface: Interface) -> str:
        """Each mistake on a line of its own, as `file:line:column: sentence`."""
        del interface
        count = len(self.mistakes)
        head = f"{self.file} cannot be used, because of {count} mistake{'s' if count > 1 else ''}:"
        return "\n".join([head, *self.lines()])

    def lines(self) -> list[str]:
        """`file:line:column: sentence` for each mistake; the last line counts those beyond MOST_SHOWN."""
        shown = [f"{self.file}:{one.place.line}:{one.place.column}: {one.sentence}" for one in self.mistakes]
        beyond = len(shown) - MOST_SHOWN
        return shown[:MOST_SHOWN] + ([f"and {beyond} more mistakes."] if beyond > 0 else [])


def shortened(sentence: str) -> str:
    """A sentence on one line, its middle left out where it is long."""
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in sentence)
    half = MOST_CHARACTERS // 2
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[:half]} … {plain[-half:]}"
