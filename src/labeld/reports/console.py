"""A report in a terminal, or piped as plain text: its texts and tables, without the pictures."""

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from labeld.reports.page import Code, Page, Paragraph, Part, Table
from labeld.system.printable import printable

NO_TERMINAL = 160
"""Characters of a line where there is no terminal to fit in."""
LONGEST_CELL = 100
"""Characters of a cell, at most."""


def print_page(page: Page) -> None:
    """Prints a report to standard output; with colours only where that is a terminal that has them."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=NO_TERMINAL, highlight=False)
    _line(console, page.title, "bold")
    _line(console, page.lead)
    for section in page.sections:
        parts = [part for part in section.parts if isinstance(part, Table | Paragraph | Code)]
        if parts:
            console.print()
            _line(console, section.title, "bold cyan")
        for part in parts:
            _print(console, part)


def _line(console: Console, text: str, style: str = "") -> None:
    # NOTE: as Text, because rich would read markup and names of emoji in a string
    console.print(Text(printable(text), style), soft_wrap=True)


def _print(console: Console, part: Part) -> None:
    match part:
        case Paragraph(text=text, warns=warns):
            _line(console, text, "yellow" if warns else "")
        case Code(text=text):
            for line in text.splitlines():
                _line(console, line)
        case Table():
            table = RichTable(box=None, pad_edge=False)
            for index, name in enumerate(part.columns):
                is_number = index in part.numbers
                table.add_column(Text(printable(name)), justify="right" if is_number else "left", no_wrap=is_number)
            for row in part.rows:
                table.add_row(*(Text(_shortened(cell)) for cell in row))
            if part.caption:
                _line(console, part.caption)
            console.print(table)


def _shortened(cell: str) -> str:
    text = printable(" ".join(cell.split("\n")))
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
