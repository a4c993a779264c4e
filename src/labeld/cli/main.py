"""The command line: argv -> settings -> call."""

import errno
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from labeld.cli.compare import compare
from labeld.cli.config import config
from labeld.cli.distill import distill
from labeld.cli.evaluate import evaluate
from labeld.cli.models import models
from labeld.cli.options import with_settings
from labeld.cli.resumable import INTERRUPTED
from labeld.cli.tokens import tokens
from labeld.config import settings
from labeld.config.hub import Hub
from labeld.config.load import load
from labeld.config.roles import Roles
from labeld.errors import InvalidRequestError, LabeldError
from labeld.interface import Interface
from labeld.system.printable import printable

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
FILES = "Texts in files"
"""Of the help of `classify`."""

cli = typer.Typer(
    help="The Inference API for text classification, on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(models, name="models")
cli.add_typer(tokens, name="tokens")
cli.add_typer(config, name="config")


def run() -> None:
    """Runs the command line: one sentence and exit code 1 for an error that is the user's to mend."""
    try:
        cli()
    except LabeldError as error:
        lines = error.sentence(Interface.COMMAND_LINE).split("\n")
        sys.exit("labeld: " + "\n".join(map(printable, lines)))
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _leave(INTERRUPTED)  # NOTE: a thread of pyarrow may still be in a read of a pipe, and would abort
        raise
    except UnicodeError as error:
        if isinstance(error, UnicodeEncodeError) and error.encoding not in {"utf-8", "idna"}:
            sys.exit(f"labeld: what is printed cannot be written in {error.encoding}: set PYTHONIOENCODING to utf-8.")
        sys.exit("labeld: an argument or a variable of the environment is not UTF-8, but must be.")
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        sys.exit("labeld: no thread can be started: raise the limits of this process (ulimit -v and -u).")
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        sys.stderr.write(f"labeld: what is printed cannot be written: {error.strerror}.\n")
        _leave(1)  # NOTE: Python would try to write it again


def _leave(code: int) -> None:
    """Ends the process when everything is closed, before Python's own end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it with the option's value
    if wanted:
        typer.echo(f"labeld {version('labeld')}")
        raise typer.Exit


@cli.callback()
def _labeld(
    *,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """The Inference API for text classification, on your own machine."""


@cli.command()
@with_settings(*settings.GROUPS.values(), has_log=True)
def serve(
    models: Annotated[list[str] | None, typer.Argument(help="Models to load at start.", metavar="MODEL")] = None,
    **flags: Any,
) -> None:
    """Answer the Inference API: POST /models/{id}, until Ctrl-C or SIGTERM.

    Without MODEL the bundled labeld/sentiment-en is loaded at start and answers POST / too; every other model is
    loaded by its first request. Each setting is a flag, an environment variable, or in the file of --config;
    the flag wins, then the variable.
    """
    from labeld.cli.serve import serve_until_stopped  # noqa: PLC0415  # other commands need no server

    sys.exit(serve_until_stopped({**flags, "models": models or None}))


@cli.command()
@with_settings(settings.Folders, Hub, settings.Compute, settings.Precisions)
def classify(  # noqa: PLR0913  # the flags of the command
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts; without or with -, the lines of standard input. With --input: the model's id, and more files.",
            metavar="[TEXT…] | MODEL",
        ),
    ] = None,
    *,
    model: Annotated[str, typer.Option(help="Model id.")] = "",
    top_k: Annotated[int | None, typer.Option(min=1, help="At most this many labels; default all.")] = None,
    function: Annotated[str | None, typer.Option(help="sigmoid, softmax or none; default is the model's own.")] = None,
    truncation: Annotated[
        bool, typer.Option("--truncation", help="Cut texts that are too long for the model.")
    ] = False,
    max_length: Annotated[int | None, typer.Option(min=1, help="Cut texts to this many tokens.")] = None,
    stride: Annotated[
        int | None, typer.Option(min=0, help="Read long texts in windows that share this many tokens.")
    ] = None,
    aggregate: Annotated[str | None, typer.Option(help="Of the windows' scores: max (default) or mean.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as when the output is piped.")] = False,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Files, patterns, or - for standard input.", rich_help_panel=FILES),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="File for the rows with their answers.", rich_help_panel=FILES)
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the texts.", rich_help_panel=FILES)] = "text",
    pair_column: Annotated[
        str | None, typer.Option(help="Column of the second texts, where they are pairs.", rich_help_panel=FILES)
    ] = None,
    label_column: Annotated[
        str, typer.Option(help="Column to be added: the best label.", rich_help_panel=FILES)
    ] = "label",
    score_column: Annotated[str, typer.Option(help="Column to be added: its score.", rich_help_panel=FILES)] = "score",
    all_scores: Annotated[
        bool, typer.Option("--all-scores", help="Add all labels with their scores, too.", rich_help_panel=FILES)
    ] = False,
    scores_column: Annotated[str, typer.Option(help="Column of --all-scores.", rich_help_panel=FILES)] = "scores",
    input_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, tsv, jsonl, parquet or arrow; default by the files' names.", rich_help_panel=FILES
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run was stopped or killed.", rich_help_panel=FILES)
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists.", rich_help_panel=FILES)
    ] = False,
    **flags: Any,
) -> None:
    """Classify texts without a server: bars in a terminal, JSON lines when piped; or files, with --input.

    Each line of JSON is the ranking of one text, in order: [{"label": …, "score": …}, …]. With --input the rows of
    csv, tsv, jsonl, parquet and arrow files are written to --output with label and score; exit code 3 says that
    some are bad and in OUTPUT.bad.jsonl.
    """
    from labeld.classifier import RankingParameters  # noqa: PLC0415  # loads the engine
    from labeld.cli.classify import classify_texts, function_named  # noqa: PLC0415
    from labeld.files.formats import model_of  # noqa: PLC0415

    if inputs and texts and not model:
        model, texts = model_of(texts)
    chosen = load({**flags, "models": [model] if model else None})
    asked: RankingParameters = {
        "top_k": top_k,
        "function_to_apply": function_named(function),
        "truncation": truncation or None,
        "max_length": max_length,
        "stride": stride,
        "aggregate": aggregate,  # type: ignore[typeddict-item]  # read_parameters says what is wrong with another
    }
    if not inputs:
        if output or resume or overwrite:
            raise InvalidRequestError("--output, --resume and --overwrite need --input, the files to be read.")
        classify_texts(texts, chosen, asked, as_json=as_json)
        return
    from labeld.cli.classify_files import Files, classify_files  # noqa: PLC0415  # needs pyarrow
    from labeld.files.classify import Columns  # noqa: PLC0415

    columns = Columns(column, pair_column, label_column, score_column, scores_column if all_scores else None)
    files = Files((*inputs, *(texts or ())), output, columns, input_format, overwrite, resume)
    raise typer.Exit(classify_files(files, chosen, asked))


@cli.command()
@with_settings(
    settings.Folders, Hub, settings.Residency, settings.Compute, settings.Precisions, settings.InputLimits, Roles
)
def run_batch(
    models: Annotated[list[str] | None, typer.Argument(help="Models to load at start.", metavar="MODEL")] = None,
    *,
    input_file: Annotated[
        str, typer.Option("-i", "--input-file", help="File of requests, one JSON object a line; - for standard input.")
    ],
    output_file: Annotated[Path, typer.Option("-o", "--output-file", help="File for the answers, in the same order.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run that was killed has ended.")] = False,
    **flags: Any,
) -> None:
    """Answer a file of requests in the batch shape of OpenAI and vLLM, without a server.

    Each line is {"custom_id": …, "method": "POST", "url": "/v1/moderations", "body": {…}}, with the path of any route
    that computes; a failure is in its own line's answer, and exit code 3 says that there is one.
    """
    from labeld.cli.run_batch import run_batch as answer_all  # noqa: PLC0415  # loads the engine

    chosen = load({**flags, "models": models or None})
    raise typer.Exit(answer_all(input_file, output_file, chosen, overwrite=overwrite, resume=resume))


cli.command()(evaluate)
cli.command()(compare)
cli.command()(distill)
