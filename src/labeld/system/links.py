"""Links, which are followed where a file is written whole and then given its name: that would replace the link."""

import os
from pathlib import Path


def followed(path: Path) -> Path:
    """The path itself, or where that is a link what it leads to, there or not; a link that leads to no end is left."""
    try:
        return Path(os.path.realpath(path)) if path.is_symlink() else path
    except OSError:  # a name that is too long, of which whoever opens it says so
        return path
