"""Small data kept between runs, one JSON object per file. A lost file only costs time, so nothing here raises."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """The object in this file; an empty one when the file is missing, unreadable or no JSON object."""
    with suppress(OSError, ValueError, RecursionError):
        stored = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(stored, dict):
            return stored
    return {}


def replace_object(path: Path, value: dict[str, Any]) -> None:
    """Writes the object and replaces the file by rename, so that another process never reads half of it."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        unfinished = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(value))  # NOTE: `dump` is written in Python, and takes three times as long
            unfinished.replace(path)
        except BaseException:  # a full disk, for instance
            unfinished.unlink(missing_ok=True)
            raise
