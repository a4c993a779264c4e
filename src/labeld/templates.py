"""HTML templates: what is common to those of the server's pages and of reports."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(folder: Path) -> "Environment":
    """The templates of a folder: every value is escaped, and a name that is not given is an error.

    They know labeld's `version`; the caller adds what else they need.
    """
    # NOTE: imported for the first page or report, so that a server whose pages nobody opens starts as fast
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["version"] = version("labeld")
    return made
