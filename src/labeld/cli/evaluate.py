"""`labeld evaluate`: a model measured against labelled texts of files."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labeld.cli.bars import steps
from labeld.cli.options import with_settings
from labeld.cli.rows import ROWS, Column, FileFormat, Inputs, PairColumn
from labeld.config import settings
from labeld.config.hub import Hub
from labeld.config.load import load
from labeld.errors import InvalidRequestError
from labeld.model_id import valid_id

if TYPE_CHECKING:
    from labeld.evaluation.evaluate import Found, Question

TOO_LOW = 2
"""Exit code where a metric is below its minimum; 1 is for what could not be evaluated."""
SOME_LEFT_OUT = 3
"""Exit code where all is well but some rows had no part in the figures."""

THRESHOLDS, OUTPUT = "Thresholds and calibration", "Results"


@with_settings(settings.Folders, Hub, settings.Compute, settings.Precisions)
def evaluate(  # noqa: PLR0913  # the flags of the command
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Model id, id@revision or alias (default: labeld/sentiment-en), and more files.",
            metavar="[MODEL] [FILE…]",
        ),
    ] = None,
    *,
    inputs: Inputs,
    column: Column = "text",
    pair_column: PairColumn = None,
    label_column: Annotated[str, typer.Option(help="Column of the labels.", rich_help_panel=ROWS)] = "label",
    label_separator: Annotated[
        str | None, typer.Option(help="What stands between several labels in a string.", rich_help_panel=ROWS)
    ] = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE-LABEL=LABEL", help="The model's label for one of the file.", rich_help_panel=ROWS),
    ] = None,
    file_format: FileFormat = None,
    truncation: Annotated[
        bool, typer.Option("--truncation", help="Cut texts that are too long for the model.", rich_help_panel=ROWS)
    ] = False,
    against: Annotated[str | None, typer.Option(help="Another model, or a precision: a paired test of both.")] = None,
    best_f1: Annotated[
        bool, typer.Option("--best-f1", help="Choose thresholds with the best F1.", rich_help_panel=THRESHOLDS)
    ] = False,
    target_precision: Annotated[
        float | None, typer.Option(help="Choose thresholds that reach this precision.", rich_help_panel=THRESHOLDS)
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Find a temperature for scores.", rich_help_panel=THRESHOLDS)
    ] = False,
    yaml: Annotated[
        Path | None,
        typer.Option(help="File for thresholds and temperature, as --config takes it.", rich_help_panel=THRESHOLDS),
    ] = None,
    alias: Annotated[
        str | None, typer.Option(help="Alias in that file; default: made of the id.", rich_help_panel=THRESHOLDS)
    ] = None,
    html: Annotated[Path | None, typer.Option(help="File for a report with pictures.", rich_help_panel=OUTPUT)] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.", rich_help_panel=OUTPUT)] = False,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Exit code 2 where the accuracy is less.", rich_help_panel=OUTPUT)
    ] = None,
    min_f1: Annotated[
        float | None, typer.Option(help="Exit code 2 where the macro F1 is less.", rich_help_panel=OUTPUT)
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=10, max=100_000, help="Resamples of the texts, for intervals.", rich_help_panel=OUTPUT)
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn.", rich_help_panel=OUTPUT)] = 0,
    **flags: Any,
) -> None:
    """Measure a model against labels: accuracy, F1, AUROC, calibration and more, each with its interval.

    Rows whose text or label is missing, or that the model cannot read, are counted and listed, and have no part in the
    figures: then the exit code is 3. Needs the extra eval.
    """
    from labeld.reports.extra import require_eval  # noqa: PLC0415  # other commands need none of these

    require_eval("labeld evaluate")
    from labeld.evaluation.evaluate import Question  # noqa: PLC0415
    from labeld.evaluation.labels import read_mapping  # noqa: PLC0415
    from labeld.evaluation.rows import Columns  # noqa: PLC0415
    from labeld.files.earlier_runs import require_apart  # noqa: PLC0415
    from labeld.files.formats import find_files, model_of  # noqa: PLC0415
    from labeld.reports.output import require_free  # noqa: PLC0415

    _require_shares(("target-precision", target_precision), ("min-accuracy", min_accuracy), ("min-f1", min_f1))
    if best_f1 and target_precision is not None:
        raise InvalidRequestError("--best-f1 and --target-precision both choose thresholds: leave one out.")
    if yaml is not None and not (best_f1 or calibrate or target_precision is not None):
        raise InvalidRequestError("--yaml has nothing to write: add --best-f1, --target-precision or --calibrate.")
    if alias is not None and not valid_id(alias):
        raise InvalidRequestError(f"--alias is {alias!r}, but must be a name like a model id, such as sentiment.")
    if yaml is not None and yaml == html:
        raise InvalidRequestError(f"--yaml and --html are both {str(html)!r}: name two files.")
    model, files = model_of(arguments or ())
    if written := [*filter(None, (yaml, html))]:
        read = find_files([*inputs, *files])
        for path in written:
            require_free(path, overwrite=overwrite)
            require_apart(path, read)
    question = Question(
        model,
        [*inputs, *files],
        Columns(column, pair_column, label_column, label_separator or None),
        file_format,
        read_mapping(label_map or ()),
        truncation=truncation,
        against=against,
        best_f1=best_f1,
        target_precision=target_precision,
        calibrate=calibrate,
        alias=alias,
        resamples=resamples,
        seed=seed,
    )
    found = _evaluated(load(flags), question)
    _write(found, yaml, html, overwrite=overwrite, as_json=as_json)
    _require_enough(found, min_accuracy, min_f1)


def _require_shares(*options: tuple[str, float | None]) -> None:
    for name, value in options:
        if value is not None and not 0 < value <= 1:
            raise InvalidRequestError(f"--{name} is {value:g}, but must be above 0 and at most 1.")


def _evaluated(chosen: settings.Settings, question: "Question") -> "Found":
    """The evaluation, with a bar for each of its steps where standard error is a terminal."""
    from labeld.evaluation.evaluate import evaluate as run  # noqa: PLC0415  # loads the engine

    with steps() as step:
        return run(chosen, question, step)


def _write(found: "Found", yaml: Path | None, html: Path | None, *, overwrite: bool, as_json: bool) -> None:
    from labeld.evaluation.report import page  # noqa: PLC0415  # imports numpy
    from labeld.reports.console import print_page  # noqa: PLC0415
    from labeld.reports.output import write_text  # noqa: PLC0415
    from labeld.reports.page import render  # noqa: PLC0415

    if as_json:
        # NOTE: a text may have half a surrogate pair, which only an escape can write
        typer.echo(json.dumps(found.evaluation.as_json(), indent=2))
    else:
        print_page(page(found, drawn=False))
    if yaml is not None and found.evaluation.configuration is not None:
        write_text(yaml, found.evaluation.configuration, overwrite=overwrite)
    if html is not None:
        write_text(html, render(page(found, drawn=True)), overwrite=overwrite)


def _require_enough(found: "Found", min_accuracy: float | None, min_f1: float | None) -> None:
    """Ends with TOO_LOW and a sentence where a metric is less than asked for, with SOME_LEFT_OUT where rows are."""
    result = found.evaluation.result
    metrics = (("accuracy", result.accuracy, min_accuracy), ("macro F1", result.macro["f1"], min_f1))
    low = [
        f"The {name} of {result.model} is {metric.value:.4f}, less than {least:g}."
        for name, metric, least in metrics
        if least is not None and (metric.value or 0.0) < least
    ]
    if low:
        print(f"labeld: {' '.join(low)}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(TOO_LOW)
    if count := len(found.evaluation.unusable):
        what = "1 row has" if count == 1 else f"{count:,} rows have"
        print(f"labeld: {what} no part in these figures: see the reasons in the report.", file=sys.stderr)  # noqa: T201
        raise typer.Exit(SOME_LEFT_OUT)
