"""transformers, the reference: imported only where it is needed, and without its progress bars."""

from importlib import import_module
from typing import Any


def library() -> Any:
    """The module transformers."""
    module: Any = import_module("transformers")
    module.utils.logging.disable_progress_bar()
    return module
