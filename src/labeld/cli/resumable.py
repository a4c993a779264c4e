"""Commands whose output a later run can go on with, after Ctrl-C."""

import typer

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def stopped(*, may_resume: bool = True) -> int:
    """Says how to go on, and returns the exit code."""
    way = "what is done is kept, so go on with --resume" if may_resume else "start anew with --overwrite"
    typer.echo(f"\nStopped: {way}.", err=True)
    return INTERRUPTED
