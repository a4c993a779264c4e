"""`python -m benchmarks`: measures, prints, and its exit code says whether every bar was kept."""

import signal
import sys
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.comparison import plots as comparison_plots
from benchmarks.comparison.command import compare
from benchmarks.comparison.records import read
from benchmarks.lib import machine, plot
from benchmarks.lib.report import Figure, Plan, json_lines, show
from benchmarks.suites import plots as suite_plots

RESULTS = Path(__file__).parent / "results"


class Name(Enum):
    """The figures, in the order in which they run: what loads torch comes last."""

    START = "start"
    LATENCY = "latency"
    SATURATION = "saturation"
    CLASSIFIER = "classifier"
    STAGES = "stages"
    OVERLOAD = "overload"
    GROWTH = "growth"
    LENGTHS = "lengths"
    COST = "cost"
    LOADING = "loading"
    SPEED = "speed"
    CACHED = "cached"
    AUTHORIZATION = "authorization"
    ESTIMATE = "estimate"
    CYCLES = "cycles"
    EVICTIONS = "evictions"
    FAULTS = "faults"
    CHURN = "churn"
    COLD = "cold"
    RAY = "ray"
    RAY_DATA = "ray-data"
    DIALECTS = "dialects"
    GUARD = "guard"
    ZERO_SHOT = "zero-shot"
    RERANK = "rerank"
    PARITY = "parity"
    FILES = "files"
    DISTILL = "distill"


cli = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@cli.callback()
def _benchmarks() -> None:
    """Measures labeld against its own bars, on this machine."""


@cli.command()
def figures(  # noqa: PLR0913  # one per flag
    *,
    only: Annotated[list[Name] | None, typer.Option(help="Measure this only; may be repeated.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder with sst2/dev.tsv, langid/sentences.tsv and checkpoints/ (tokenizers). Without "
            "it: a few sentences that ship with the benchmarks, and two synthetic models.",
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder where synthetic models (3 GB) are kept.")] = Path(
        "~/.cache/labeld-benchmarks"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="A smoke run of ten minutes, whose timings mean nothing.")
    ] = False,
    core_hour: Annotated[float, typer.Option(min=0, help="Dollars per core and hour, for the figure cost.")] = 0.04,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, the machine first.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Also append the JSON lines to benchmarks/results/, with plots.")
    ] = False,
) -> None:
    """Measure everything, or --only some of it; exit code 1 when a bar is not kept.

    Takes about two hours on 2 cores. Let nothing else run meanwhile: the load average should be below 0.5.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers are ended then, too
    errors = Console(stderr=True)
    facts = machine.describe()
    if facts["load"] > machine.BUSY:
        errors.print(f"[bold yellow]This machine is busy (load average {facts['load']}): timings mean little.")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: list[Figure] = []
    with Progress(*columns, console=errors, transient=True) as progress:
        plan = Plan(data, cache.expanduser(), quick, progress, core_hour)
        plan.cache.mkdir(parents=True, exist_ok=True)
        for name in Name:
            if only is None or name in only:
                found += import_module(f"benchmarks.suites.{name.name.lower()}").measure(plan)
    facts["load_at_end"] = machine.describe()["load"]
    facts["quick"], facts["data"] = quick, data is not None
    show(facts, found, tuple(facts), as_json=as_json)
    if save:
        RESULTS.mkdir(exist_ok=True)
        run = f"{facts['date'][:10]}-{facts['commit'][:7]}"
        results = RESULTS / f"{run}.jsonl"
        with results.open("a") as file:
            file.write(json_lines(facts, found))
        plot.save(suite_plots.plots([one.as_json() for one in found]), results)
    sys.exit(not all(one.passed for one in found))


cli.command()(compare)


@cli.command("plot")
def _plot(
    results: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of results.")],
) -> None:
    """Draw the plots of a file of results again, as SVG beside it."""
    lines = read(results)
    draw = comparison_plots.plots if "kind" in lines[0] else suite_plots.plots
    plot.save(draw(lines), results)


if __name__ == "__main__":
    cli()
