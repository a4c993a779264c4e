"""Model id -> identity in the answer cache, without loading the model. Lives on one event loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labeld.cache.keys import Identity
from labeld.checkpoint.revision import FolderState, folder_state

LOOK_EVERY = 1.0
"""Seconds for which a folder's state is used before it is read again."""


@dataclass(slots=True)
class Known:
    """The identity of a model when it was last loaded, and whether its folder is still the same."""

    identity: Identity
    files: FolderState
    same: bool
    looked_at: float


class ModelIdentities:
    """The identity of each model that was ever loaded; it counts until a file of its folder changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Known] = {}

    def record(self, model_id: str, identity: Identity, files: FolderState) -> None:
        """A model was loaded; `files` is its folder's state before that."""
        # NOTE: a time in the past, so that the first look-up reads the folder, which may have changed since the load
        self._known[model_id] = Known(identity, files, same=True, looked_at=self._clock() - LOOK_EVERY)

    def identity(self, model_id: str, folder: Path | None) -> Identity | None:
        """None when the model was never loaded, or its folder has changed since, or is not there."""
        known = self._known.get(model_id)
        if known is None or folder is None:
            return None
        now = self._clock()
        if now - known.looked_at >= LOOK_EVERY:
            known.same, known.looked_at = folder_state(folder) == known.files, now
        return known.identity if known.same else None
