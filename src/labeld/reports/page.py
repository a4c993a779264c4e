"""A report as plain data, and its HTML: one file without scripts, that loads nothing, for light, dark and phones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from labeld.reports.pictures import Svg
from labeld.templates import environment

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of text; `warns` sets it apart as something to mind."""

    text: str
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Text that is shown as it is, such as YAML to copy."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; each row has a cell for each column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    """Columns, counted from 0, of numbers: they stand at the right and break only where a text has a new line."""
    long: Sequence[int] = ()
    """Columns of long texts: they get the room that the others leave."""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of `pictures.draw`."""

    svg: Svg
    description: str
    """Its content in words, for who cannot see it."""
    caption: str = ""
    wide: bool = False
    """True for one that stands alone in its row."""


Part = Paragraph | Code | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """Parts below a heading; pictures that follow each other stand side by side where there is room."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report."""

    title: str
    lead: str
    """One sentence below the title."""
    sections: Sequence[Section]


def render(page: Page) -> str:
    """The page as HTML, without half surrogate pairs and the characters that no HTML may have."""
    groups = [(section.title, _groups(section.parts)) for section in page.sections]
    text = _environment().get_template("report.html").render(page=page, groups=groups)
    return text.translate(FORBIDDEN).encode("utf-8", "replace").decode()


FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "\N{REPLACEMENT CHARACTER}")
"""Control characters, which no HTML may have."""


def _groups(parts: Sequence[Part]) -> list[tuple[str, list[Part]]]:
    """The parts with their kinds, neighbouring pictures together."""
    groups: list[tuple[str, list[Part]]] = []
    for part in parts:
        kind = type(part).__name__
        if kind == "Picture" and groups and groups[-1][0] == kind:
            groups[-1][1].append(part)
        else:
            groups.append((kind, [part]))
    return groups


@cache
def _environment() -> "Environment":
    return environment(TEMPLATES)
