"""`labeld compare`: this model beside another server, or transformers, on the operator's own texts."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labeld.cli.options import with_settings
from labeld.config import settings
from labeld.config.against import against_token
from labeld.config.hub import Hub
from labeld.config.load import load

if TYPE_CHECKING:
    from labeld.comparison.load import OnDone, Watch
    from labeld.comparison.options import CompareOptions
    from labeld.comparison.result import Comparison
    from labeld.comparison.rows import Input

PARTIAL = 3
"""The exit code where not every row was compared."""
SHOWN, ON_PAGE = 10, 100
"""Disagreements that are printed, and that are on the HTML page, at most; JSON has all."""

_COMPARISON = "How it compares."


def _option(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_COMPARISON, **more)


@with_settings(settings.Folders, Hub, settings.Compute, settings.Precisions)
def compare(  # noqa: PLR0913  # the flags of the command
    model: Annotated[str, typer.Argument(help="Model id.")],
    *,
    against: Annotated[str, _option("URL of the other server, or transformers.")],
    inputs: Annotated[
        list[str],
        _option("csv, tsv, jsonl, parquet or arrow; several, patterns, - for standard input.", "--input", "-i"),
    ],
    column: Annotated[str, _option("Column of the texts.")] = "text",
    pair_column: Annotated[str | None, _option("Column of the second texts of pairs.")] = None,
    file_format: Annotated[str | None, _option("Format of the files; default: as they are named.", "--format")] = None,
    limit: Annotated[int, _option("Texts to compare, at most: the first of the input.", min=1)] = 1000,
    connections: Annotated[
        int, _option("Connections of a second pass over the texts; 1 makes none. For transformers: texts at once.")
    ] = 1,
    dialect: Annotated[
        str | None,
        _option(
            "How the server is asked: hosted, endpoint, tei, vllm, infinity, open-inference, kserve, sagemaker or "
            "vertex; default: found by a few GETs."
        ),
    ] = None,
    body: Annotated[
        str | None, _option('Request of a server with its own shape: JSON with "TEXT", and "PAIR", in it.')
    ] = None,
    against_model: Annotated[str | None, _option("The model's name at the server; default: MODEL.")] = None,
    against_token_file: Annotated[
        Path | None, _option("File with the server's access token; default: that of LABELD_AGAINST_TOKEN.")
    ] = None,
    against_cores: Annotated[
        int | None, _option("Cores that the server may use; default: seen, on this machine.", min=1)
    ] = None,
    label_map: Annotated[list[str] | None, _option("THEIRS=OURS,… for labels that do not match by name or id.")] = None,
    threshold: Annotated[
        list[str] | None, _option("Count scores that cross a threshold: a number for all labels, or LABEL=NUMBER.")
    ] = None,
    truncation: Annotated[
        bool, _option("Cut texts that are too long, on both sides; else they have no answer.", "--truncation")
    ] = False,
    timeout: Annotated[float, _option("Seconds for one request.")] = 30.0,
    max_seconds: Annotated[float, _option("Seconds of one pass over the texts, at most.")] = 600.0,
    core_hour: Annotated[float | None, _option("Price of a core for an hour, for the cost of 10^9 texts.")] = None,
    as_json: Annotated[bool, _option("JSON instead of text.", "--json")] = False,
    html: Annotated[Path | None, _option("File for the report as an HTML page (needs labeld\\[eval]).")] = None,
    overwrite: Annotated[bool, _option("Write the page over a file that is there.", "--overwrite")] = False,
    **flags: Any,
) -> None:
    """Compare labeld with what runs today, on your own texts: answers, speed, memory and cost.

    Each text is asked for once at one connection, and once more at --connections, if those are more; never while
    the other side is asked. Ends with 0 if every row was compared, with 3 and a partial report if not.
    """
    from labeld.cli.page_text import print_page  # noqa: PLC0415  # slow to import, as are these
    from labeld.comparison.options import CompareOptions  # noqa: PLC0415
    from labeld.comparison.page import page_of  # noqa: PLC0415
    from labeld.comparison.rows import Input  # noqa: PLC0415
    from labeld.reports.output import require_free  # noqa: PLC0415

    options = CompareOptions(
        model=model,
        against=against,
        dialect=dialect,
        body=body,
        against_model=against_model,
        against_cores=against_cores,
        label_map=label_map or (),
        thresholds=threshold or (),
        truncation=truncation,
        connections=connections,
        timeout=timeout,
        max_seconds=max_seconds,
        core_hour=core_hour,
        token=against_token(against_token_file),
    )
    if html is not None:
        from labeld.files.earlier_runs import require_apart  # noqa: PLC0415
        from labeld.files.formats import find_files  # noqa: PLC0415
        from labeld.reports.extra import require_eval  # noqa: PLC0415

        require_eval("--html")
        require_free(html, overwrite=overwrite)
        require_apart(html, find_files(inputs))
    result = _compare(options, Input(inputs, column, pair_column, limit, file_format), flags)
    if as_json:
        typer.echo(json.dumps(result.as_json(), ensure_ascii=False, indent=2))
    else:
        print_page(page_of(result, disagreements=SHOWN))
    if html is not None:
        _write(result, html, overwrite=overwrite)
    raise typer.Exit(0 if result.complete else PARTIAL)


def _compare(options: "CompareOptions", source: "Input", flags: Mapping[str, Any]) -> "Comparison":
    """The result, of a model that is downloaded if it is not on this machine."""
    from labeld.comparison.address import read_address  # noqa: PLC0415
    from labeld.comparison.in_process import require_transformers  # noqa: PLC0415
    from labeld.comparison.options import TRANSFORMERS  # noqa: PLC0415
    from labeld.comparison.with_server import ServerComparison  # noqa: PLC0415
    from labeld.comparison.with_transformers import TransformersComparison  # noqa: PLC0415
    from labeld.service.build import open_resolver  # noqa: PLC0415

    chosen = load({**flags, "models": [options.model]})
    if options.against == TRANSFORMERS:
        require_transformers()
    else:
        read_address(options.against)
    rows, bad = source.read()
    with closing(open_resolver(chosen, "any")) as resolver, _progress() as watch:
        found = resolver.find(options.model)
        location = resolver.open(found)
        if options.against == TRANSFORMERS:
            result = TransformersComparison(options, rows, chosen, location.folder, watch).run()
        else:
            result = ServerComparison(options, rows, chosen, flags, watch).run()
    return replace(result, bad_rows=bad)


@contextmanager
def _progress() -> "Iterator[Watch]":
    """Bars of passes with their rate and time left, on stderr if that is a terminal."""
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn())
    with progress.Progress(
        *columns, progress.TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:

        def watch(description: str, texts: int) -> "OnDone":
            task = bar.add_task(description, total=texts)
            return lambda: bar.advance(task)

        yield watch


def _write(result: "Comparison", path: Path, *, overwrite: bool) -> None:
    from labeld.comparison.page import page_of  # noqa: PLC0415
    from labeld.comparison.pictures import pictures_of  # noqa: PLC0415
    from labeld.reports.output import write_text  # noqa: PLC0415
    from labeld.reports.page import render  # noqa: PLC0415

    page = page_of(result, disagreements=ON_PAGE, pictures=pictures_of(result))
    write_text(path, render(page), overwrite=overwrite)
