"""Entry point of the `labeld` command, and of `python -m labeld`.

NOTE: every worker process imports this file again, so it imports the command line only where it runs: without Typer a
worker is 7 MB smaller.
"""

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from labeld.cli.main import run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
