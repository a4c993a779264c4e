"""Descriptions of models without loading them: those on this machine, and those that may be downloaded."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labeld.checkpoint.config import ModelConfig, read_config
from labeld.checkpoint.model_card import Card, read_card
from labeld.config.labels import renamed
from labeld.config.models_file import ModelEntry
from labeld.errors import FolderError, OverloadedError
from labeld.repository.folders import BUNDLED
from labeld.repository.manifest import USED
from labeld.repository.resolver import ModelLocation, ResolvedModel, Resolver

QUESTIONS = 4
"""Concurrent look-ups on the Hub."""
MOST_QUESTIONS = 64
"""Look-ups in progress or waiting, at most; one more is refused, so that a slow Hub does not block the requests
that need no Hub."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as far as it is known without loading it."""

    model_id: str
    """Its public id: of an alias, the alias."""
    is_classifier: bool
    """True when its config, or the Hub for a model that is not on this machine, describes a text classifier."""
    config: ModelConfig | None = None
    """The config of a classifier on this machine; else None."""
    labels: tuple[str, ...] = ()
    """Its labels as its answers call them; empty for a model that is not on this machine."""
    task: str | None = None
    """The task by which its card, or the Hub, offers it."""
    commit: str | None = None
    """Commit of a model from the Hub; else None."""
    last_modified: float | None = None
    """Modification time of its files on this machine, in seconds since the epoch."""
    origin: Literal["bundled", "folder", "store", "hf-cache", "hub"] = "hub"
    """Source of its files: bundled, models_dir, the store, the Hugging Face cache, or only the Hub."""
    size: int | None = None
    """Bytes of its files on this machine."""
    last_used: float | None = None
    """Time at which a downloaded model was last opened, in seconds since the epoch; else None."""
    problem: str | None = None
    """The sentence of the error for a folder that is not a classifier; else None."""
    card: Card = field(default_factory=Card)


class Listing:
    """Looks up models on its own threads, so that neither requests nor downloads wait."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._reading = ThreadPoolExecutor(1, "list")
        self._asking = ThreadPoolExecutor(QUESTIONS, "ask-hub")
        self._questions = 0

    async def everything(self) -> list[ModelInfo]:
        """The models on this machine, sorted by id."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._all_on_disk)

    async def one(self, model: ResolvedModel) -> ModelInfo:
        """One model, looked up on the Hub if it is not on this machine; downloads nothing.

        Raises what `Hub.snapshot` raises, and OverloadedError.
        """
        return await self.here(model) or await self._on_hub(model)

    async def here(self, model: ResolvedModel) -> ModelInfo | None:
        """One model on this machine; None for one that would have to be downloaded."""
        if model.location is None:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, _on_disk, model.public_id, model.location, model.alias)

    def shutdown(self) -> None:
        """Ends the threads after the running look-ups."""
        self._reading.shutdown(cancel_futures=True)
        self._asking.shutdown(cancel_futures=True)

    async def _on_hub(self, model: ResolvedModel) -> ModelInfo:
        if self._questions >= MOST_QUESTIONS:
            raise OverloadedError(
                f"{self._questions} look-ups wait for the Hub, the limit; try again later.", 2.0, "hub"
            )
        self._questions += 1
        try:
            snapshot = await asyncio.get_running_loop().run_in_executor(self._asking, self._resolver.ask_hub, model)
        finally:
            self._questions -= 1
        return ModelInfo(model.public_id, snapshot.is_classifier, commit=snapshot.commit, task=snapshot.task)

    def _all_on_disk(self) -> list[ModelInfo]:
        found, aliases = sorted(self._resolver.local().items()), self._resolver.aliases
        return [_on_disk(model_id, location, aliases.get(model_id)) for model_id, location in found]


def _on_disk(model_id: str, location: ModelLocation, alias: ModelEntry | None) -> ModelInfo:
    folder, config, problem, modified = location.folder, None, None, None
    try:
        config = read_config(folder)
        modified = (folder / "config.json").stat().st_mtime
    except FolderError as error:  # a model of another task, or a broken one
        problem = str(error)
    except OSError:  # it has left the store meanwhile
        problem = "config.json cannot be read."
    labels = () if config is None else config.labels
    card = read_card(folder)
    return ModelInfo(
        model_id,
        is_classifier=problem is None,
        config=None if problem else config,
        labels=labels if alias is None else renamed(alias, labels),
        task=card.task,
        commit=location.commit,
        last_modified=modified,
        origin=_origin(location),
        size=_size(folder),
        last_used=_last_used(location),
        problem=problem,
        card=card,
    )


def _origin(location: ModelLocation) -> Literal["bundled", "folder", "store", "hf-cache"]:
    return "bundled" if location.folder.is_relative_to(BUNDLED) else location.origin


def _size(folder: Path) -> int | None:
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return None


def _last_used(location: ModelLocation) -> float | None:
    with suppress(OSError):
        return None if location.origin != "store" else (location.folder / USED).stat().st_mtime
    return None
