"""Flags of the commands that read the rows of files into memory."""

from typing import Annotated

import typer

ROWS = "Rows"
"""Of their help."""

Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        "-i",
        help="csv, tsv, jsonl, parquet or arrow; several, patterns, - for standard input.",
        rich_help_panel=ROWS,
    ),
]
Column = Annotated[str, typer.Option(help="Column of the texts.", rich_help_panel=ROWS)]
PairColumn = Annotated[str | None, typer.Option(help="Column of the second texts of pairs.", rich_help_panel=ROWS)]
FileFormat = Annotated[
    str | None,
    typer.Option("--format", help="Format of the files; default: as they are named.", rich_help_panel=ROWS),
]
