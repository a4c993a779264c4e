"""Model name -> location: in folders, the store, the Hugging Face cache, or on the Hub."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from labeld.config.hub import Hub as HubSettings
from labeld.config.hub import Policy
from labeld.config.models_file import ModelEntry
from labeld.errors import (
    FolderError,
    LabeldError,
    ModelBrokenError,
    ModelNotFoundError,
    SettingsError,
    format_bytes,
)
from labeld.model_id import valid_id
from labeld.repository.errors import DownloadTooLargeError, HubFailedError, NotDownloadedError
from labeld.repository.files import ModelFile
from labeld.repository.folders import LISTING_AGE, Folders
from labeld.repository.hf_cache import HfCache
from labeld.repository.hub_client import DEFAULT_REVISION, Hub, Snapshot
from labeld.repository.manifest import Manifest
from labeld.repository.revisions import split
from labeld.repository.store import Store

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the bytes downloaded so far, and the bytes in all."""


def unwatched(_done: int, _total: int) -> None:
    """Ignores progress."""


class ModelLocation(NamedTuple):
    """The folder of a model's files, and their origin."""

    folder: Path
    commit: str | None
    """Commit on the Hub; None for a folder in models_dir."""
    origin: Literal["folder", "store", "hf-cache"] = "folder"


class ResolvedModel(NamedTuple):
    """The model that a caller means by a name."""

    name: str
    """The name as the caller spelled it, for sentences to that caller."""
    model_id: str
    """What it is loaded as: `org/name`, `org/name@revision` where another revision than the default was asked for, or
    an alias that has a precision of its own."""
    location: ModelLocation | None
    """Not verified; None when the model must be downloaded first."""
    alias: ModelEntry | None = None
    """The alias that was asked for, if it was one."""

    @property
    def public_id(self) -> str:
        """The id by which callers know it, which access tokens name: the alias, or the model's own id."""
        return self.alias.alias if self.alias else self.model_id

    @property
    def source(self) -> str:
        """`org/name` or `org/name@revision` of its files, also where it is loaded as an alias of its own."""
        return self.alias.model if self.alias else self.model_id


class Resolver:
    """Finds models, and downloads those that the settings allow. Thread-safe."""

    def __init__(  # noqa: PLR0913, PLR0917  # the places that it looks in
        self,
        folders: Folders,
        store: Store,
        settings: HubSettings,
        policy: Policy,
        check: Callable[[Path], None],
        aliases: Mapping[str, ModelEntry] = {},
    ) -> None:
        """`check` is given a folder without its weights, and raises FolderError when that can never be served.

        Raises SettingsError when the Hub's address or a pattern is none.
        """
        for pattern in settings.hub_allow:
            if not valid_id(pattern.replace("*", "x")):
                raise SettingsError(f"hub_allow has {pattern!r}, but must have ids like org/name, or org/*.")
        self.folders, self.store, self.aliases = folders, store, aliases
        self._settings, self._policy, self._check = settings, policy, check
        self._hub = Hub(settings)
        self._hf_cache = HfCache(settings.hf_cache, store.verifier)
        self._stopping = threading.Event()
        # when, and where: a request costs no look at the disk
        self._seen: dict[tuple[str, str], tuple[float, Path]] = {}

    def find(self, name: str) -> ResolvedModel:
        """The model of this name: an alias, an id, `id@revision`, or a local model's name without its organisation.

        Takes microseconds and connects to nobody; a request needs it once. Raises AmbiguousModelError,
        ModelNotFoundError, or NotDownloadedError when the model is not here and may not be downloaded.
        """
        name = name.rstrip("/")
        alias = self.aliases.get(name)
        if alias is None:
            return self._find(name)
        found = self._find(alias.model)
        return ResolvedModel(name, found.model_id if alias.precision is None else name, found.location, alias)

    def _find(self, name: str) -> ResolvedModel:
        """As `find`, for what is no alias."""
        try:
            found, local = self.folders.match(name)
            return ResolvedModel(name, found, ModelLocation(local, None))
        except ModelNotFoundError:
            pass
        model_id, revision = split(name)
        looked_at, folder = self._seen.get((model_id, revision), (0.0, None))
        if time.monotonic() - looked_at >= LISTING_AGE:
            folder = self.store.folder(model_id, revision)
            if folder is None:
                self._require_allowed(model_id)
                folder = self._hf_cache.folder(model_id, revision)
            if folder is None:
                self._require_online(model_id)
            else:
                self._seen[model_id, revision] = time.monotonic(), folder
        location = None if folder is None else self._found(folder)
        return ResolvedModel(name, model_id if revision == DEFAULT_REVISION else f"{model_id}@{revision}", location)

    def local(self) -> dict[str, ModelLocation]:
        """Location of each model that needs no download, by id, unverified, in its default revision. Reads the disk.

        Aliases of such models are among them.
        """
        cached = {
            model_id: ModelLocation(folder, folder.name, "hf-cache")
            for model_id, folder in self._hf_cache.classifiers(DEFAULT_REVISION)
            if self._refusal(model_id) is None
        }
        stored = {
            one.model_id: ModelLocation(one.folder, one.commit, "store")
            for one in self.store.list()
            if DEFAULT_REVISION in one.revisions
        }
        own = {model_id: ModelLocation(folder, None) for model_id, folder in self.folders.by_id().items()}
        aliases = {}
        for alias in self.aliases:
            with suppress(LabeldError):
                if location := self.find(alias).location:
                    aliases[alias] = location
        return cached | stored | own | aliases

    def _found(self, folder: Path) -> ModelLocation:
        """The location of a commit's folder, in the store or in the Hugging Face cache."""
        return ModelLocation(folder, folder.name, "hf-cache" if self._hf_cache.has(folder) else "store")

    def ask_hub(self, model: ResolvedModel) -> Snapshot:
        """The Hub's description of a model; downloads nothing. Raises what `Hub.snapshot` raises."""
        return self._hub.snapshot(*split(model.source))

    def fetch(self, name: str, progress: Progress = unwatched) -> ModelLocation:
        """Finds and opens the model of this name; raises what `find` and `open` raise."""
        return self.open(self.find(name), progress)

    def open(self, model: ResolvedModel, progress: Progress = unwatched) -> ModelLocation:
        """The folder of a model, downloaded first if need be; blocks until then.

        The folder is whole and verified, and stays until `release`. Raises NotDownloadedError, GatedModelError,
        DownloadTooLargeError, ModelBrokenError (before the weights are downloaded, where the other files say so),
        HubFailedError, StoreError, or UnavailableError after `stop`.
        """
        if model.location is not None and model.location.commit is None:
            return model.location
        model_id, revision = split(model.source)
        if found := self.store.open(model_id, revision):
            return ModelLocation(*found, "store")
        self._require_allowed(model_id)
        if found := self._open_cached(model_id, revision):
            return ModelLocation(*found, "hf-cache")
        self._require_online(model_id)
        return self._download(model_id, revision, progress, refresh=False)

    def pull(self, name: str, progress: Progress = unwatched) -> ModelLocation:
        """The folder of the newest commit, downloaded if need be, for an operator, who may download any model."""
        model_id, revision = split(name)
        if self._settings.offline:
            raise NotDownloadedError(model_id, "offline")
        return self._download(model_id, revision, progress, refresh=True)

    def release(self, location: ModelLocation) -> None:
        """Ends one use of a model's files, begun by `open` or `pull`."""
        if location.origin == "store":
            self.store.close(location.folder)

    def close(self) -> None:
        """Ends all uses; no model may be in use."""
        self.store.close_all()

    def stop(self) -> None:
        """Cancels running downloads; the next process resumes them."""
        self._stopping.set()
        self._hub.stop()

    def _refusal(self, model_id: str) -> LabeldError | None:
        """The error for a model that requests may not bring in, also from the Hugging Face cache; None if they may."""
        if self._policy == "off":
            return ModelNotFoundError(model_id)
        allowed = any(fnmatchcase(model_id, pattern) for pattern in self._settings.hub_allow)
        if self._policy == "allowlist" and not allowed:
            return NotDownloadedError(model_id, "hub_allow")
        return None

    def _require_allowed(self, model_id: str) -> None:
        if refusal := self._refusal(model_id):
            raise refusal

    def _require_online(self, model_id: str) -> None:
        if self._settings.offline:
            raise NotDownloadedError(model_id, "offline")

    def _open_cached(self, model_id: str, revision: str) -> tuple[Path, str] | None:
        """Folder and commit in the Hugging Face cache, if the model is there and its files are right."""
        found = self._hf_cache.open(model_id, revision)
        if found is not None:
            try:
                self._check(found[0])
            except FolderError as error:  # such as a tokenizer that was not downloaded: the Hub may have all of it
                logger.info("%s of the Hugging Face cache is not used: %s", model_id, error)
                return None
        return found

    def _download(self, model_id: str, revision: str, progress: Progress, *, refresh: bool) -> ModelLocation:
        with self.store.downloading(model_id, self._stopping):
            found = None if refresh else self.store.open(model_id, revision)
            if found is None:  # nobody else has downloaded it meanwhile
                snapshot = self._hub.snapshot(model_id, revision)
                if (found := self.store.open(model_id, snapshot.commit)) is None:
                    found = self._fill(model_id, snapshot, progress)
                self.store.name(model_id, revision, snapshot.commit)
            return ModelLocation(*found, "store")

    def _fill(self, model_id: str, snapshot: Snapshot, progress: Progress) -> tuple[Path, str]:
        """Downloads the missing files of a commit, and publishes it in the store."""
        limit = self.store.in_bytes(self._settings.max_download)
        if snapshot.size > limit:
            raise DownloadTooLargeError(model_id, snapshot.size, limit)
        began, done, checked = time.monotonic(), 0, False
        logger.info("downloading %s at %s, %s", model_id, snapshot.commit, format_bytes(snapshot.size))
        manifest = Manifest(model_id, snapshot.commit, snapshot.files)
        folder = self.store.begin(manifest)
        for file in snapshot.files:
            if file.is_weights and not checked:
                self._require_servable(model_id, snapshot.commit, folder)
                checked = True
            on_bytes = partial(_add, progress, done, snapshot.size)
            self._obtain(model_id, snapshot.commit, file, folder / file.name, on_bytes)
            done += file.size
        logger.info("downloaded %s in %.1f s", model_id, time.monotonic() - began)
        return self.store.publish(manifest)

    def _require_servable(self, model_id: str, commit: str, folder: Path) -> None:
        try:
            self._check(folder)
        except FolderError as error:
            self.store.abandon(model_id, commit)
            raise ModelBrokenError(model_id, str(error)) from None

    def _obtain(self, model_id: str, commit: str, file: ModelFile, path: Path, on_bytes: Callable[[int], None]) -> None:
        """Downloads and verifies one file; until then its bytes are in a .part file, which a later call resumes."""
        if not self.store.verifier.is_right(path, file):
            path.unlink(missing_ok=True)
            self.store.reuse(model_id, file, path)
        if self.store.verifier.is_right(path, file):
            on_bytes(file.size)
            return
        path.unlink(missing_ok=True)
        part = path.with_name(f"{path.name}.part")
        resumed = part.exists()
        while True:
            self._hub.download(model_id, commit, file, part, on_bytes)
            if self.store.verifier.is_right(part, file):
                part.replace(path)
                return
            part.unlink()
            if not resumed:
                raise HubFailedError(model_id, f"sends a {file.name} that is not what its hash says")
            resumed = False  # what an earlier call has left may be what was wrong


def _add(progress: Progress, done: int, total: int, have: int) -> None:
    progress(done + have, total)
