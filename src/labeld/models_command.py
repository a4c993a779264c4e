"""`labeld models`: commands that look at models without serving them."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from labeld import settings

WithSettings = Callable[..., Callable[[Callable[..., None]], Callable[..., None]]]


def models_app(with_settings: WithSettings) -> typer.Typer:
    """The sub-commands; `with_settings` gives a command the flags of groups of settings."""
    app = typer.Typer(help="Look at models without serving them.", no_args_is_help=True)

    @app.command()
    @with_settings(settings.Folders, settings.Compute, settings.Precisions)
    def check(
        model: Annotated[str, typer.Argument(metavar="DIR_OR_ID", help="A model's folder, or its id.")],
        *,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
        **flags: Any,
    ) -> None:
        """Load a model in each precision: what it is, how fast, how large, and what the faster ones cost.

        Its verdict is remembered: with precision auto a server then starts without a trial of its own.
        """
        from labeld.check_command import check_model  # noqa: PLC0415  # loads the engine

        check_model(model, settings.load(flags), as_json=as_json)

    return app
