"""Model id -> who answers under it, without loading the model. Lives on one event loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labeld.cache.keys import Identity
from labeld.checkpoint.revision import FolderState, folder_state

LOOK_EVERY = 1.0
"""Seconds for which a look at a folder's files holds."""


@dataclass(slots=True)
class Known:
    """What the last load of a model told, and whether its folder is still the same."""

    identity: Identity
    files: FolderState
    same: bool
    looked_at: float


class ModelIdentities:
    """Remembers the identity of each model that was loaded, and believes it until a file of its folder changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Known] = {}

    def remember(self, model_id: str, identity: Identity, files: FolderState) -> None:
        """A model was loaded; `files` is its folder's state before that."""
        # NOTE: looked at in the past, so that the first question looks: the folder may have changed since
        self._known[model_id] = Known(identity, files, same=True, looked_at=self._clock() - LOOK_EVERY)

    def identity(self, model_id: str, folder: Path | None) -> Identity | None:
        """Who answers; None when the model was never loaded, or its folder is not what was loaded or is not there."""
        known = self._known.get(model_id)
        if known is None or folder is None:
            return None
        now = self._clock()
        if now - known.looked_at >= LOOK_EVERY:
            known.same, known.looked_at = folder_state(folder) == known.files, now
        return known.identity if known.same else None
