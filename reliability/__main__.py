"""`python -m reliability`: breaks labeld, prints one table, and its exit code says whether every bar was kept."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.lib import machine
from benchmarks.lib.report import Figure, show
from reliability.faults import planted, reddens, sentence
from reliability.lib.cores import Cores, on_a_busy_machine, own_seconds
from reliability.lib.run import Run


class Name(Enum):
    """The checks, in the order in which they run: others import transformers, which puts huggingface_hub offline."""

    HUB = "hub"
    FUZZ = "fuzz"
    SIGNALS = "signals"
    FOREIGN = "foreign"
    RAW = "raw"
    HOSTILE = "hostile"
    OVERLOAD = "overload"
    DISCONNECTS = "disconnects"
    SINKS = "sinks"
    TOKENS = "tokens"
    OUTAGES = "outages"
    REDIS = "redis"
    DISK = "disk"
    MOUNTS = "mounts"
    LIMITS = "limits"
    CLOCK = "clock"
    SOAK = "soak"


SHARES = {
    Name.HUB: 2,
    Name.FUZZ: 12,
    Name.SIGNALS: 10,
    Name.FOREIGN: 10,
    Name.RAW: 3,
    Name.HOSTILE: 6,
    Name.OVERLOAD: 4,
    Name.DISCONNECTS: 3,
    Name.SINKS: 2,
    Name.TOKENS: 2,
    Name.OUTAGES: 4,
    Name.REDIS: 3,
    Name.DISK: 3,
    Name.MOUNTS: 3,
    Name.LIMITS: 1,
    Name.CLOCK: 1,
    Name.SOAK: 8,
}
"""Parts of the time that each check has."""
SEEDED_MINUTES = 0.2
"""Minutes of each check's run against its seeded fault."""

cli = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@cli.command()
def main(
    *,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Minutes of all checks together; the full counts are those of 60.")
    ] = 10.0,
    only: Annotated[list[Name] | None, typer.Option(help="Run this check only; may be repeated.")] = None,
    seeded: Annotated[
        bool, typer.Option("--seeded", help="Run each check, in short, against a labeld with a planted mistake.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Add inputs that are new and interesting to the corpus.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, the machine first.")] = False,
) -> None:
    """Break labeld in every way; exit code 1 when a bar is not kept or, with --seeded, a mistake not noticed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers are ended then, too
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what ends with its connection is no news
    chosen = [name for name in Name if only is None or name in only]
    facts = {**machine.describe(), "minutes": minutes, "seeded": seeded}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Figure] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for name in chosen:
            share = SHARES[name] / sum(SHARES[one] for one in chosen)
            seconds = 60 * (SEEDED_MINUTES if seeded else minutes * share)
            with tempfile.TemporaryDirectory(prefix="labeld-reliability-", ignore_cleanup_errors=True) as folder:
                run = Run(
                    name.value, seconds / 60 if seeded else minutes, seconds, Path(folder), progress, seeded, keep
                )
                figures = _figures(run)
            found += [_noticed(name, figures)] if seeded else figures
    show(facts, found, ("date", "cpu", "cores", "commit", "load", "minutes"), as_json=as_json)
    sys.exit(not all(one.passed for one in found))


def _figures(run: Run) -> list[Figure]:
    used = Cores(sorted(os.sched_getaffinity(0)), own_seconds)
    with planted(run.name) if run.seeded else nullcontext():
        figures: list[Figure] = import_module(f"reliability.checks.{run.name}").check(run)
    return figures if run.seeded else on_a_busy_machine(figures, used.others())


def _noticed(name: Name, figures: Sequence[Figure]) -> Figure:
    """Whether the bars of a check have noticed its seeded fault."""
    red = [one for one in figures if not one.passed]
    meant = sum(reddens(name.value) in one.name for one in red)
    detail = {"red": "; ".join(f"{one.name} {one.value:.4g}" for one in red)}
    return Figure(name.value, f"{sentence(name.value)}: bars broken", meant, "", 1, "at least", detail)


if __name__ == "__main__":
    cli()
