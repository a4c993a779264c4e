"""Detection of loaded models whose files have changed: they are loaded anew."""

import asyncio
import logging
from dataclasses import dataclass

from labeld.checkpoint.revision import FolderState, folder_state
from labeld.errors import LabeldError
from labeld.lifecycle.loader import LoadedModel
from labeld.lifecycle.registry import Registry
from labeld.repository.resolver import Resolver

LOOK_EVERY = 2.0
"""Seconds between two checks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedFiles:
    """The origin of a loaded model; keeps no reference to the model."""

    model_id: str
    commit: str | None
    """Commit of a model from the store; None for a folder."""
    state: FolderState


async def serve_anew(registry: Registry[LoadedModel], resolver: Resolver) -> None:
    """Replaces each loaded model whose files have changed, until cancelled; a pinned one is reloaded at once.

    Files that changed since the last look may still be being written, so they count at the next one.
    """
    changed: dict[str, FolderState] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY)
        loaded = [
            LoadedFiles(one.model_id, one.model.location.commit, one.model.model.files) for one in registry.loaded()
        ]
        before, changed = changed, await asyncio.to_thread(_changed, loaded, resolver)
        for model_id in [one for one, state in changed.items() if before.get(one) == state]:
            del changed[model_id]
            if registry.replace(model_id):
                logger.warning("model %s was replaced: it is loaded anew", model_id)
                await _load_pinned(model_id, registry, resolver)


def _changed(loaded: list[LoadedFiles], resolver: Resolver) -> dict[str, FolderState]:
    """The state of the folders that these ids mean now, where that is another one than was loaded.

    One whose files are gone is none of them: nothing could be loaded in its place.
    """
    changed = {}
    for one in loaded:
        try:
            location = resolver.find(one.model_id).location
        except LabeldError:
            continue
        if location is None or (location.commit is not None and location.commit == one.commit):
            continue
        state = folder_state(location.folder)
        if state and state != one.state:
            changed[one.model_id] = state
    return changed


async def _load_pinned(model_id: str, registry: Registry[LoadedModel], resolver: Resolver) -> None:
    if registry.pinned(model_id):
        try:
            async with registry.lease(resolver.find(model_id)):
                pass
        except LabeldError as error:
            logger.warning("model %s cannot be loaded anew: %s", model_id, error)
