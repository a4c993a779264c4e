"""The command line: argv -> settings -> call."""

import inspect
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, get_origin

import typer

from labeld import settings
from labeld.errors import LabeldError, SettingsError
from labeld.models_command import models_app

cli = typer.Typer(
    help="The Inference API for text classification, on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ARGUMENT_SETTINGS = {"models"}
"""Settings that are not flags because a command takes them as arguments."""


def run() -> None:
    """Runs the command line: one sentence and exit code 1 for an error that is the user's to mend."""
    try:
        cli()
    except LabeldError as error:
        sys.exit(f"labeld: {error}")


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


def with_settings(*groups: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command one flag for each setting of these groups, passed to it as keyword arguments or None."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        parameters = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        for group, one, kind in settings.every_setting():
            if group not in groups or one.name in ARGUMENT_SETTINGS or one.metadata["secret"]:
                continue
            flag = f"--{one.name.replace('_', '-')}"
            names = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
            text = f"{one.metadata['help']} (default {one.default}; {settings.variable(one.name)})"
            option = typer.Option(*names, help=text, show_default=False, rich_help_panel=group.__doc__)
            typed = str if kind is settings.Amount or get_origin(kind) is tuple else kind  # typer knows neither
            hint = Annotated[typed | None, option]  # type: ignore[valid-type]  # typer reads it, mypy cannot
            parameters.append(
                inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            )
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by typer
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


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
    chosen = settings.load({**flags, "models": models or None})
    if not chosen.listen.is_loopback and not chosen.listen.allow_anonymous:
        raise SettingsError(
            f"host is {chosen.listen.host}, where anybody who reaches it may use the models: listen on 127.0.0.1, or "
            "say --allow-anonymous."
        )
    from labeld.web.application import application  # noqa: PLC0415  # other commands need no server
    from labeld.web.server import serve as run_server  # noqa: PLC0415

    sys.exit(run_server(partial(application, chosen), chosen.listen, chosen.connections, chosen.queue.drain_timeout))


@cli.command()
@with_settings(settings.Folders, settings.Compute, settings.Precisions)
def classify(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; none = one per line of standard input.")] = None,
    *,
    model: Annotated[str, typer.Option(help="Model id.")] = "",
    top_k: Annotated[int | None, typer.Option(min=1, help="At most this many labels; default all.")] = None,
    function: Annotated[str | None, typer.Option(help="sigmoid, softmax or none; default is the model's own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as when the output is piped.")] = False,
    **flags: Any,
) -> None:
    """Classify texts without a server: bars in a terminal, JSON lines when piped.

    Each line of JSON is the ranking of one text, in order: [{"label": …, "score": …}, …].
    """
    from labeld.classify_command import classify_texts  # noqa: PLC0415  # loads the engine

    chosen = settings.load({**flags, "models": [model] if model else None})
    classify_texts(texts, chosen, {"top_k": top_k, "function_to_apply": function}, as_json=as_json)


cli.add_typer(models_app(with_settings), name="models")
