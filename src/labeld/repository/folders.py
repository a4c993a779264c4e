"""Model id -> folder: first the operator's `models_dir`, then the models bundled with the package.

An id from a request is only ever compared with the ids of folders that were found; it never becomes part of a path.
"""

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from labeld.checkpoint.file_names import CONFIG
from labeld.errors import ModelNotFoundError, SettingsError
from labeld.model_id import valid_id
from labeld.repository.errors import AmbiguousModelError
from labeld.system.printable import printable

logger = logging.getLogger(__name__)

BUNDLED = Path(__file__).parents[1] / "bundled"
DEFAULT_MODEL = "labeld/sentiment-en"

LISTING_AGE = 1.0
"""Seconds for which a listing of the folders is used, so that most requests do not read the disk."""

NAMED = 5
"""Unreadable folders that are named in warnings; the others are only counted."""


class Folders:
    """The models in models_dir and the bundled ones. Folders that appear later are found within a second."""

    def __init__(self, models_dir: Path | None, *, was_checked: bool = False) -> None:
        """Raises SettingsError as `require_readable`, unless that was called before: then the folder may be away."""
        if models_dir is not None:
            models_dir = models_dir.expanduser()
            if not was_checked:
                require_readable(models_dir)
        self._roots = [_Root(root) for root in (BUNDLED, models_dir) if root is not None]
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
        name = name.rstrip("/")
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
        """Folder of each id; an operator's folder replaces a bundled one of the same id."""
        now = time.monotonic()
        if now - self._listed_at >= LISTING_AGE:
            self._listing = {model_id: folder for root in self._roots for model_id, folder in root.models().items()}
            self._listed_at = now
        return self._listing


def require_readable(models_dir: Path) -> None:
    """Raises SettingsError when it is not a folder that can be read."""
    folder = models_dir.expanduser()
    try:
        os.scandir(folder).close()
    except NotADirectoryError:
        raise SettingsError(f"models_dir is {str(folder)!r}, which is not a folder.") from None
    except OSError as error:
        raise SettingsError(f"models_dir is {str(folder)!r}, which cannot be read: {error.strerror}.") from None


class _Root:
    """A folder of models, and its last readable listing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = "the folder of the bundled models" if folder == BUNDLED else "models_dir"
        self._models: dict[str, Path] = {}
        self._unreadable: set[str] = set()
        """Unreadable folders in it, for which a warning was logged."""
        self._gone = False

    def models(self) -> dict[str, Path]:
        """Folder of each id: those with a config.json, or that lie in an organisation's folder.

        Folders that cannot be read are left out. When this one cannot be read, the models are those of before: what is
        loaded goes on, and the others have a sentence of their own when somebody asks for them.
        """
        found: dict[str, Path] = {}
        unreadable: set[str] = set()
        try:
            for first in _subfolders(self._folder):
                try:
                    found |= _models_in(first)
                except OSError:
                    unreadable.add(first.name)
        except OSError as error:
            if not self._gone:
                logger.warning("%s cannot be read (%s): its models are those of before", self._name, error.strerror)
            self._gone = True
            return self._models
        if self._gone:
            logger.warning("%s can be read again", self._name)
        self._gone = False
        self._warn_of(sorted(unreadable - self._unreadable))
        self._unreadable = unreadable
        self._models = {model_id: folder for model_id, folder in found.items() if valid_id(model_id)}
        return self._models

    def _warn_of(self, names: list[str]) -> None:
        for name in names[:NAMED]:
            logger.warning("the folder %s in %s cannot be read, so it is left out", printable(name), self._name)
        if len(names) > NAMED:
            logger.warning("%d other folders in %s cannot be read either", len(names) - NAMED, self._name)


def _models_in(folder: Path) -> dict[str, Path]:
    if (folder / CONFIG).exists():
        return {folder.name: folder}
    return {f"{folder.name}/{model.name}": model for model in _subfolders(folder)}


def _subfolders(folder: Path) -> list[Path]:
    """The subfolders of a folder, without those whose kind cannot be read; raises OSError when it is unreadable."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # a link in a circle
                if entry.is_dir():
                    found.append(Path(entry.path))
    return found
