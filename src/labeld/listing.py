"""The models of this server as a Hub would describe them: those on this machine, and any one that may be downloaded."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from labeld.catalogue import Catalogue
from labeld.errors import FolderError, OverloadedError
from labeld.model_config import read_config

QUESTIONS = 4
"""Questions to the Hub at once."""
MOST_QUESTIONS = 64
"""Those that wait for their turn included; one more is refused, so that a slow Hub does not take the place of requests
that need no Hub."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of a model without loading it."""

    model_id: str
    is_classifier: bool
    """Whether its config (or the Hub, of a model that is only there) says that it classifies texts."""
    model_type: str | None = None
    commit: str | None = None
    """The Hub's, of a model that is from there."""
    last_modified: float | None = None
    """Of its files on this machine, in seconds since the epoch."""


class Listing:
    """Looks models up on threads of its own, so that neither requests nor downloads wait for it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._reading = ThreadPoolExecutor(1, "list")
        self._asking = ThreadPoolExecutor(QUESTIONS, "ask-hub")
        self._questions = 0

    async def everything(self) -> list[Listed]:
        """The models on this machine, by id. The Hub's other models are not listed, only looked up."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._all_on_disk)

    async def one(self, name: str) -> Listed:
        """The model that a caller means by `name`. The Hub is asked if it is not here and may be downloaded.

        Downloads nothing. Raises what `Catalogue.find` raises, what `Hub.snapshot` raises, and OverloadedError.
        """
        key, folder = self._catalogue.locate(name)
        if folder is None:
            return await self._on_hub(key)
        commit = None if key in self._catalogue.folders.ids() else folder.name
        return await asyncio.get_running_loop().run_in_executor(self._reading, _on_disk, key, folder, commit)

    def shutdown(self) -> None:
        """Ends the threads, after the look-ups that run."""
        self._reading.shutdown(cancel_futures=True)
        self._asking.shutdown(cancel_futures=True)

    async def _on_hub(self, key: str) -> Listed:
        if self._questions >= MOST_QUESTIONS:
            raise OverloadedError(
                f"{self._questions} look-ups wait for the Hub, the limit; try again later.", 2.0, "hub"
            )
        self._questions += 1
        try:
            snapshot = await asyncio.get_running_loop().run_in_executor(self._asking, self._catalogue.ask_hub, key)
        finally:
            self._questions -= 1
        return Listed(key, snapshot.is_classifier, commit=snapshot.commit)

    def _all_on_disk(self) -> list[Listed]:
        return [_on_disk(key, place.folder, place.commit) for key, place in sorted(self._catalogue.local().items())]


def _on_disk(model_id: str, folder: Path, commit: str | None) -> Listed:
    try:
        config = read_config(folder)
        modified = (folder / "config.json").stat().st_mtime
    except (FolderError, OSError):  # a model of another task, a broken one, or one that has left the store meanwhile
        return Listed(model_id, is_classifier=False, commit=commit)
    return Listed(model_id, is_classifier=True, model_type=config.model_type, commit=commit, last_modified=modified)
