"""The command line: argv -> settings -> call."""

import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer

from labeld.auth.any_made import any_made
from labeld.cli.models import models
from labeld.cli.options import with_settings
from labeld.cli.tokens import tokens
from labeld.config import settings
from labeld.config.hub import Hub
from labeld.config.load import load, unknown_variables
from labeld.errors import LabeldError, SettingsError
from labeld.interface import Interface
from labeld.repository.url_policy import require_other_address

logger = logging.getLogger("labeld")

cli = typer.Typer(
    help="The Inference API for text classification, on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(models, name="models")
cli.add_typer(tokens, name="tokens")


def run() -> None:
    """Runs the command line: one sentence and exit code 1 for an error that is the user's to mend."""
    try:
        cli()
    except LabeldError as error:
        sys.exit(f"labeld: {error.sentence(Interface.COMMAND_LINE)}")


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
@with_settings(*settings.GROUPS.values())
def serve(
    models: Annotated[list[str] | None, typer.Argument(help="Models to load at start.", metavar="MODEL")] = None,
    **flags: Any,
) -> None:
    """Answer the Inference API: POST /models/{id}, until Ctrl-C or SIGTERM.

    Without MODEL the bundled labeld/sentiment-en is loaded at start and answers POST / too; every other model is
    loaded by its first request. Each setting is a flag or an environment variable; the flag wins.
    """
    chosen = load({**flags, "models": models or None})
    if not (
        chosen.listen.is_loopback
        or chosen.listen.allow_anonymous
        or any_made(chosen.access.tokens_db, chosen.access.tokens_secret)
    ):
        raise SettingsError(
            f"host is {chosen.listen.host}, where others reach it, and there is no access token yet: make one with "
            "`labeld tokens create NAME`, listen on 127.0.0.1, or say --allow-anonymous."
        )
    chosen.hub_policy()
    if not chosen.listen.uds:
        require_other_address(chosen.hub.hf_endpoint, chosen.listen.host, chosen.listen.port)
    from labeld.server import logs  # noqa: PLC0415
    from labeld.server.run import serve as run_server  # noqa: PLC0415
    from labeld.server.worker import ProcessOptions  # noqa: PLC0415
    from labeld.web.factory import application  # noqa: PLC0415  # other commands need no server

    logs.configure(chosen.logs.log_format)
    for sentence in unknown_variables():
        logger.warning(sentence)
    with _workers_folder(chosen.listen.workers) as folder:
        code = run_server(
            partial(application, chosen, get_context("fork").Semaphore(1), folder),
            chosen.listen,
            chosen.connections,
            ProcessOptions(
                chosen.queue.drain_timeout,
                chosen.queue.drain_delay,
                chosen.logs.log_format,
            ),
        )
    sys.exit(code)


@contextmanager
def _workers_folder(workers: int) -> Iterator[Path | None]:
    """A folder that several workers share until the server ends; None for a single worker."""
    if workers == 1:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="labeld-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cli.command()
@with_settings(settings.Folders, Hub, settings.Compute, settings.Precisions)
def classify(  # noqa: PLR0913  # the flags of the command
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without, one per line of standard input.")] = None,
    *,
    model: Annotated[str, typer.Option(help="Model id.")] = "",
    top_k: Annotated[int | None, typer.Option(min=1, help="At most this many labels; default all.")] = None,
    function: Annotated[str | None, typer.Option(help="sigmoid, softmax or none; default is the model's own.")] = None,
    truncation: Annotated[
        bool, typer.Option("--truncation", help="Cut texts that are too long for the model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as when the output is piped.")] = False,
    **flags: Any,
) -> None:
    """Classify texts without a server: bars in a terminal, JSON lines when piped.

    Each line of JSON is the ranking of one text, in order: [{"label": …, "score": …}, …].
    """
    from labeld.classifier import RankingParameters  # noqa: PLC0415  # loads the engine
    from labeld.cli.classify import classify_texts, function_named  # noqa: PLC0415

    chosen = load({**flags, "models": [model] if model else None})
    asked: RankingParameters = {
        "top_k": top_k,
        "function_to_apply": function_named(function),
        "truncation": truncation or None,
    }
    classify_texts(texts, chosen, asked, as_json=as_json)
