"""A report's page as text in a terminal, or as lines where there is none."""

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from labeld.reports.page import Code, Page, Paragraph, Table
from labeld.system.printable import printable

NO_TERMINAL = 200
"""Characters of a line where there is no terminal to fit in."""


def print_page(page: Page) -> None:
    """Prints the page without its pictures."""
    console = Console()
    if not console.is_terminal:
        console.width = NO_TERMINAL
    _print(console, page.lead)
    for section in page.sections:
        _print(console, f"\n{section.title}", style="bold")
        for part in section.parts:
            if isinstance(part, Paragraph):
                _print(console, part.text, style="yellow" if part.warns else "")
            elif isinstance(part, Code):
                _print(console, part.text)
            elif isinstance(part, Table):
                console.print(_table(part))


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(_safe(text, style))


def _table(part: Table) -> RichTable:
    table = RichTable(title=_safe(part.caption) if part.caption else None, title_justify="left", title_style="dim")
    for number, name in enumerate(part.columns):
        is_number = number in part.numbers
        table.add_column(_safe(name), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in part.rows:
        table.add_row(*[_safe(cell) for cell in row])
    return table


def _safe(text: str, style: str = "") -> Text:
    """The text without markup, and without what would control the terminal."""
    return Text("\n".join(printable(line) for line in text.split("\n")), style)
