"""transformers, the reference: imported only where it is needed, offline and without its progress bars."""

import os
from importlib import import_module
from typing import Any


def library() -> Any:
    """The module transformers."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    module: Any = import_module("transformers")
    module.utils.logging.disable_progress_bar()
    return module
