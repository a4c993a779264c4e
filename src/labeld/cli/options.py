"""Settings as flags of the commands."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_origin

import typer

from labeld.config.fields import ByteSize
from labeld.config.load import unknown_variables
from labeld.config.names import every_setting, variable
from labeld.config.roles import Source

ARGUMENT_SETTINGS = {"models"}
"""Settings that are not flags because a command takes them as arguments."""


def warn_of_unknown_variables() -> None:
    """Says on standard error which variables look like settings and are none."""
    for sentence in unknown_variables():
        typer.echo(f"labeld: {sentence}", err=True)


def with_settings(*groups: type[Any], has_log: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command one flag for each setting of these groups, and --config: keyword arguments or None.

    It warns of misspelt variables, unless it does so in a log of its own.
    """

    def decorate(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def command(**given: Any) -> None:
            if not has_log:
                warn_of_unknown_variables()
            original(**given)

        own = inspect.signature(original)
        parameters = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        for group, one, kind in every_setting():
            if group not in {*groups, Source} or one.name in ARGUMENT_SETTINGS or one.metadata["secret"]:
                continue
            flag = f"--{one.name.replace('_', '-')}"
            names = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
            described = one.metadata["help"].replace("[", "\\[")  # or rich would take labeld[otel] for markup
            text = f"{described} ({_default(one.default)}{variable(one.name)})"
            option = typer.Option(*names, help=text, show_default=False, rich_help_panel=group.__doc__)
            typed = str if kind is ByteSize or get_origin(kind) is tuple else kind  # typer knows neither
            hint = Annotated[typed | None, option]  # type: ignore[valid-type]  # typer reads it, mypy cannot
            parameters.append(
                inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            )
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by typer
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def _default(value: object) -> str:
    """The default value at the beginning of a help text's parenthesis; empty where the text itself states it."""
    if value is None or value == ():
        return ""
    return f"default {'on' if value is True else 'off' if value is False else value}; "
