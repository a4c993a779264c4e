"""`labeld config`: check a configuration file, and print its JSON schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from labeld.cli.options import warn_of_unknown_variables
from labeld.config.load import load
from labeld.config.mistakes import ConfigFileError, Mistake, Place
from labeld.errors import SettingsError

config = typer.Typer(help="Check a configuration file, and describe it to editors.", no_args_is_help=True)


@config.command()
def check(
    file: Annotated[Path, typer.Argument(help="Configuration file (YAML).")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Say everything that is wrong with a configuration file, with its lines; exit code 1 if something is.

    The environment counts as it does for `labeld serve`. Labels are checked of models that are on this machine.
    """
    mistakes: list[Mistake] = []
    notes: list[str] = []
    settings = None
    warn_of_unknown_variables()
    try:
        settings = load({"config": file})
    except ConfigFileError as error:
        mistakes = error.mistakes
    except SettingsError as error:  # it cannot be read, or the environment is wrong
        mistakes = [Mistake(Place(1, 1), "", str(error))]
    else:
        from labeld.cli.config_check import check_settings  # noqa: PLC0415  # loads the engine

        mistakes, notes = check_settings(settings)
    if as_json:
        found = [one.as_json() for one in mistakes]
        typer.echo(json.dumps({"file": str(file), "valid": not mistakes, "mistakes": found, "notes": notes}, indent=1))
    else:
        for line in ConfigFileError(str(file), mistakes).lines():
            typer.echo(line, err=True)
        for note in notes:
            typer.echo(note)
        if settings is not None and not mistakes:
            aliases, policies = len(settings.file.models), len(settings.file.policies)
            of_policies = "1 policy" if policies == 1 else f"{policies} policies"
            typer.echo(f"{file} is right: {aliases} {'alias' if aliases == 1 else 'aliases'}, {of_policies}.")
    raise typer.Exit(1 if mistakes else 0)


@config.command()
def schema() -> None:
    """Print the JSON schema of the configuration file."""
    from labeld.config.schema import file_schema  # noqa: PLC0415  # rarely needed

    typer.echo(json.dumps(file_schema(), indent=2))
