"""Commands whose output a later run can go on with, after Ctrl-C."""

from typing import NoReturn

import typer

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def stopped(*, may_resume: bool = True) -> NoReturn:
    """Says how to go on, and ends the command; for an `except KeyboardInterrupt`.

    NOTE: as an exception, which keeps that one: what was broken off would otherwise complain when it is forgotten.
    """
    way = "what is done is kept, so go on with --resume" if may_resume else "start anew with --overwrite"
    typer.echo(f"\nStopped: {way}.", err=True)
    raise typer.Exit(INTERRUPTED)
