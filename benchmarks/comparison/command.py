"""`python -m benchmarks compare`: every peer against labeld, in one run."""

import signal
import sys
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.comparison import tables
from benchmarks.comparison.plots import plots
from benchmarks.comparison.ratios import figures
from benchmarks.comparison.records import Records, read
from benchmarks.comparison.run import Run, scripts
from benchmarks.comparison.schedule import ROUNDS, SECONDS, Schedule
from benchmarks.lib import machine, plot
from benchmarks.lib.peer import PeerError
from benchmarks.lib.report import Plan

RESULTS = Path(__file__).parents[1] / "results"
QUICK_SECONDS = 2.0
WIDTH = 220
"""Columns of the tables where there is no terminal."""


class Model(Enum):
    """The models that can be served."""

    DISTILBERT = "distilbert"
    ROBERTA = "roberta"
    XLM_ROBERTA = "xlm-roberta"
    MODERNBERT = "modernbert"
    DEBERTA = "deberta-v2"
    BUNDLED = "bundled"


def compare(  # noqa: PLR0913  # one per flag
    *,
    only: Annotated[list[str] | None, typer.Option(help="Measure this peer only; may be repeated.")] = None,
    model: Annotated[
        list[Model] | None,
        typer.Option(help="Model, may be repeated; default: distilbert, and with --data deberta-v2 with pairs."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of a load.")] = SECONDS,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of peer and labeld.")] = ROUNDS,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of data, as for figures; most models need it."),
    ] = None,
    cache: Annotated[
        Path,
        typer.Option(help="Folder where synthetic models (3 GB) and peers' environments (1 to 2 GB each) are kept."),
    ] = Path("~/.cache/labeld-benchmarks"),
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round of each: checks that everything works.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines as they come.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Also write them to benchmarks/results/ as they come.")] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Print a file of results as Markdown; measure nothing."),
    ] = None,
) -> None:
    """Measure labeld beside the servers people use for this; exit code 1 when a bar is not kept or the run is void.

    Each peer runs in a virtual environment of its own, made on first use. Let nothing else run meanwhile: a control
    measurement notices it, and the run says that its figures are void.
    """
    if markdown is not None:
        sys.stdout.write(tables.markdown(read(markdown)))
        return
    try:
        chosen = scripts(only or [])
    except PeerError as error:
        raise typer.BadParameter(str(error)) from error
    if model is None:
        model = [Model.DISTILBERT, *([Model.DEBERTA] if data is not None else [])]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, as Ctrl-C does
    errors = Console(stderr=True)
    facts = machine.describe()
    found = Records(_free_name(facts) if save else None, as_json)
    schedule = Schedule(QUICK_SECONDS, 1) if quick else Schedule(seconds, rounds)
    found.add(
        {"kind": "machine", **facts, "seconds": schedule.seconds, "rounds": schedule.rounds, "data": data is not None}
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        plan = Plan(data, cache.expanduser(), quick, progress)
        plan.cache.mkdir(parents=True, exist_ok=True)
        run = Run(plan, schedule, found, errors)
        void = ["it was a quick run"] if quick else []
        try:
            run.measure(chosen, [one.value for one in model])
        except KeyboardInterrupt:
            void.append("the run was interrupted")
    void += run.void()
    found.add({"kind": "end", "void": void})
    if found.file is not None:
        plot.save(plots(found.lines), found.file)
    if not as_json:
        console = Console()
        if not console.is_terminal:
            console.width = WIDTH
        tables.print_all(found.lines, console)
    sys.exit(int(bool(void) or not all(one.passed for one in figures(found.lines))))


def _free_name(facts: dict[str, Any]) -> Path:
    """A new file for every run."""
    name = f"{facts['date'][:10]}-{facts['commit'][:7]}-compare"
    names = (RESULTS / f"{name}{'' if number == 1 else f'-{number}'}.jsonl" for number in count(1))
    return next(file for file in names if not file.exists())
