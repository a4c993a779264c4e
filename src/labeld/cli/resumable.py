"""Commands whose output a later run can go on with, after Ctrl-C."""

import typer

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def stopped() -> int:
    """Says how to go on, and returns the exit code."""
    typer.echo("\nStopped: what is done is kept, so go on with --resume.", err=True)
    return INTERRUPTED
