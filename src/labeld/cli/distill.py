"""`labeld distill`: a smaller model that answers as a larger one does."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labeld.cli.bars import steps
from labeld.cli.options import with_settings
from labeld.cli.resumable import stopped
from labeld.cli.rows import ROWS, Column, FileFormat, Inputs, PairColumn
from labeld.config import settings
from labeld.config.hub import Hub
from labeld.config.load import load
from labeld.reports.extra import require_extra

if TYPE_CHECKING:
    from labeld.distillation.result import Result

PACKAGES = ("torch", "transformers", "safetensors", "pyarrow")
STUDENT, OUTPUT = "The student", "Results"


@with_settings(settings.Folders, Hub, settings.Compute)
def distill(  # noqa: PLR0913  # the flags of the command
    model: Annotated[str, typer.Argument(help="Id of the model that teaches, or id@revision.", metavar="MODEL")],
    files: Annotated[list[str] | None, typer.Argument(help="More files.", metavar="[FILE…]")] = None,
    *,
    inputs: Inputs,
    output: Annotated[Path, typer.Option(help="Folder for the new model.", rich_help_panel=OUTPUT)],
    column: Column = "text",
    pair_column: PairColumn = None,
    file_format: FileFormat = None,
    held_out: Annotated[
        float, typer.Option(help="Share of the texts that only measures.", rich_help_panel=ROWS)
    ] = 0.05,
    made: Annotated[
        float, typer.Option(help="Texts that are made of each, by other words.", rich_help_panel=ROWS)
    ] = 1.0,
    layers: Annotated[int, typer.Option(help="Layers to keep, evenly spaced.", rich_help_panel=STUDENT)] = 2,
    intermediate_size: Annotated[
        int | None,
        typer.Option(help="Neurons to keep of each feed-forward network; default all.", rich_help_panel=STUDENT),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Times over the texts.", rich_help_panel=STUDENT)] = 3,
    batch_size: Annotated[int, typer.Option(help="Texts of a step.", rich_help_panel=STUDENT)] = 64,
    learning_rate: Annotated[
        float, typer.Option(help="AdamW's, at the end of its rise.", rich_help_panel=STUDENT)
    ] = 3e-4,
    max_length: Annotated[
        int, typer.Option(min=8, help="Tokens of a text that it learns from.", rich_help_panel=STUDENT)
    ] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn.", rich_help_panel=STUDENT)] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run was stopped or killed.", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that exists.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.", rich_help_panel=OUTPUT)] = False,
    **flags: Any,
) -> None:
    """Make a smaller model that answers as MODEL does, from your own texts, without labels.

    The new folder has the labels and the tokenizer of MODEL, some of its layers, and a card with what it costs; put it
    into the folder of --models-dir to serve it. Ctrl-C keeps what is done. Needs the extras torch and files.
    """
    require_extra("labeld distill", "torch,files", {name: name for name in PACKAGES})
    from labeld.distillation.distill import Task  # noqa: PLC0415  # imports torch
    from labeld.distillation.distill import distill as run  # noqa: PLC0415
    from labeld.distillation.plan import Plan  # noqa: PLC0415
    from labeld.distillation.training import StoppedError  # noqa: PLC0415

    plan = Plan(
        layers, intermediate_size, epochs, batch_size, learning_rate, max_length,
        held_out=held_out, made=made, seed=seed,
    )  # fmt: skip
    task = Task(
        model, [*inputs, *(files or ())], output, plan, column, pair_column, file_format,
        overwrite=overwrite, resume=resume,
    )  # fmt: skip
    try:
        with steps() as step:
            result = run(load({**flags, "models": [model]}), task, step)
    except (KeyboardInterrupt, StoppedError):
        stopped()
    if result is None:
        typer.echo(f"{output} is complete.", err=True)
    elif as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        _print(result)


def _print(result: "Result") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("", "student", "teacher", box=None)
    table.add_row("layers", *(f"{one:,}" for one in result.layers))
    table.add_row("parameters", *(f"{one:,}" for one in result.parameters))
    table.add_row("tokens/s, float32", *(f"{one:,.0f}" for one in result.tokens_per_second))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(
        f"{result.speed:.2f} times the speed; on {result.held_out:,} texts held out, the share of "
        f"{result.agreement_of} is {result.agreement:.4f}.",
        markup=False,
    )
    console.print(f"{result.folder} is complete; its README.md says how it was made.", markup=False)
