"""Figures with their bars, as a table and as JSON lines, and the options of a run."""

import json
import operator
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.progress import Progress
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of a run, from the command line."""

    data: Path | None
    """Folder with sst2/dev.tsv, langid/sentences.tsv and checkpoints/; None: the shipped sentences."""
    cache: Path
    """Where synthetic models, and the server's cache, are kept."""
    quick: bool
    """A few texts and seconds only: checks that everything works, measures nothing."""
    progress: Progress
    core_hour: float = 0.04
    """Dollars that a core costs in an hour."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value and the bar it has to keep."""

    figure: str
    """The file that measures it."""
    name: str
    value: float
    unit: str
    bar: float | None = None
    """None: for information, always passes."""
    keep: Literal["at most", "at least"] = "at most"
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the value keeps the bar; a NaN does not."""
        if self.bar is None:
            return True
        return bool((operator.le if self.keep == "at most" else operator.ge)(self.value, self.bar))

    def as_json(self) -> dict[str, Any]:
        """For a JSON line."""
        return {
            "figure": self.figure,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "keep": self.keep,
            "bar": self.bar,
            "passed": self.passed,
            **self.detail,
        }


def summary(values: Sequence[float]) -> dict[str, float | int]:
    """Median, range and count of repeated measurements, for a figure's detail."""
    return {"median": median(values), "least": min(values), "most": max(values), "count": len(values)}


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """One row per figure."""
    table = Table("", "figure", "value", "bar", "detail", title="Figures", title_justify="left")
    for one in figures:
        mark = "" if one.bar is None else "[green]pass" if one.passed else "[bold red]FAIL"
        bar = "" if one.bar is None else f"{'<=' if one.keep == 'at most' else '>='} {one.bar:.4g}"
        detail = ", ".join(f"{key} {_short(value)}" for key, value in one.detail.items())
        table.add_row(mark, f"{one.figure}: {one.name}", f"{one.value:.4g} {one.unit}", bar, detail)
    console.print(table)


def show(facts: dict[str, Any], figures: Sequence[Figure], shown: Sequence[str], *, as_json: bool) -> None:
    """On standard output JSON lines with all facts of the machine, or those that are shown and a table."""
    if as_json:
        sys.stdout.write(json_lines(facts, figures))
        return
    console = Console()
    if not console.is_terminal:
        console.width = 160
    for key in shown:
        value = facts[key]
        words = ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else value
        console.print(f"{key}: {words}", highlight=False)
    print_table(figures, console)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "median" in value:
        return f"{value['median']:.4g} ({value['least']:.4g} to {value['most']:.4g})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def json_lines(machine: dict[str, Any], figures: Sequence[Figure]) -> str:
    """The machine on the first line, then one line per figure."""
    return "".join(json.dumps(line) + "\n" for line in ({"machine": machine}, *(one.as_json() for one in figures)))
