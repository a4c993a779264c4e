"""Model id -> folder: first the operator's `models_dir`, then the models bundled with the package.

An id from a request is only ever compared with the ids of folders that were found; it never becomes part of a path.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from labeld.errors import AmbiguousModelError, ModelNotFoundError, SettingsError

BUNDLED = Path(__file__).parent / "bundled"
DEFAULT_MODEL = "labeld/sentiment-en"

SEGMENT = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
MODEL_ID = re.compile(rf"(?:{SEGMENT}/)?{SEGMENT}")
"""Our own pattern, not the Hub client's, which lets a trailing newline and look-alike letters through."""


def valid_id(model_id: str) -> bool:
    """Whether this can be a model's id, `org/name` or `name`."""
    return bool(MODEL_ID.fullmatch(model_id)) and ".." not in model_id and "--" not in model_id


class Folders:
    """The models this server can open. Folders that appear later are found too."""

    def __init__(self, models_dir: Path | None) -> None:
        """Raises SettingsError when `models_dir` is not a folder."""
        if models_dir is not None:
            models_dir = models_dir.expanduser()
            if not models_dir.is_dir():
                raise SettingsError(f"models_dir is {str(models_dir)!r}, which is not a folder.")
        self._roots = [root for root in (models_dir, BUNDLED) if root is not None]

    def ids(self) -> list[str]:
        """Ids of all models, sorted."""
        return sorted({model_id for root in self._roots for model_id in _found(root)})

    def find(self, name: str) -> tuple[str, Path]:
        """The id and the folder of the model that a caller means by `name`: its id, or the one `*/name` there is.

        Raises ModelNotFoundError, or AmbiguousModelError when several organisations have a model of that name.
        """
        name = name.strip("/")
        for root in self._roots:
            if name in (found := _found(root)):
                return name, found[name]
        candidates = [model_id for model_id in self.ids() if model_id.endswith(f"/{name}")] if "/" not in name else []
        if len(candidates) > 1:
            raise AmbiguousModelError(name, candidates)
        if not candidates:
            raise ModelNotFoundError(name)
        return self.find(candidates[0])


def _found(root: Path) -> dict[str, Path]:
    """Each model folder under a root: a folder with a config.json, or one that lies in an organisation's folder."""
    found = {}
    for first in _subfolders(root):
        if (first / "config.json").exists():
            found[first.name] = first
        else:
            found |= {f"{first.name}/{second.name}": second for second in _subfolders(first)}
    return {model_id: folder for model_id, folder in found.items() if valid_id(model_id)}


def _subfolders(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if entry.is_dir())
