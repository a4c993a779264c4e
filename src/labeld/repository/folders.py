"""Model id -> folder: first the operator's `models_dir`, then the models bundled with the package.

An id from a request is only ever compared with the ids of folders that were found; it never becomes part of a path.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from labeld.errors import ModelNotFoundError, SettingsError
from labeld.model_id import valid_id
from labeld.repository.errors import AmbiguousModelError

BUNDLED = Path(__file__).parents[1] / "bundled"
DEFAULT_MODEL = "labeld/sentiment-en"

LISTING_AGE = 1.0
"""Seconds for which a listing of the folders is used: a request costs no look at the disk."""


class Folders:
    """The models this server can open. Folders that appear later are found too, within a second."""

    def __init__(self, models_dir: Path | None) -> None:
        """Raises SettingsError when `models_dir` is not a folder."""
        if models_dir is not None:
            models_dir = models_dir.expanduser()
            if not models_dir.is_dir():
                raise SettingsError(f"models_dir is {str(models_dir)!r}, which is not a folder.")
        self._roots = [root for root in (BUNDLED, models_dir) if root is not None]
        self._listing: dict[str, Path] = {}
        self._listed_at = -LISTING_AGE

    def ids(self) -> list[str]:
        """Ids of all models, sorted."""
        return [*self.by_id()]

    def by_id(self) -> dict[str, Path]:
        """The folder of each model, sorted by id."""
        return dict(sorted(self._list().items()))

    def match(self, name: str) -> tuple[str, Path]:
        """The id and the folder of the model that a caller means by `name`: its id, or the one `*/name` there is.

        Raises ModelNotFoundError, or AmbiguousModelError when several organisations have a model of that name.
        """
        name = name.strip("/")
        listing = self._list()
        if name in listing:
            return name, listing[name]
        candidates = sorted(model_id for model_id in listing if model_id.endswith(f"/{name}") and "/" not in name)
        if len(candidates) > 1:
            raise AmbiguousModelError(name, candidates)
        if not candidates:
            raise ModelNotFoundError(name)
        return candidates[0], listing[candidates[0]]

    def _list(self) -> dict[str, Path]:
        """Folder of each id; the operator's come last, so that they win."""
        now = time.monotonic()
        if now - self._listed_at >= LISTING_AGE:
            self._listing = {model_id: folder for root in self._roots for model_id, folder in _found(root).items()}
            self._listed_at = now
        return self._listing


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
