"""The downloaded models on disk: plain folders of verified files, shared by all processes of this machine.

    STORE/org--name/revisions.json       which commit each revision that was asked for is
    STORE/org--name/<commit>/            the model's files and a manifest; every use verifies it first
    STORE/org--name/<commit>.partial/    a download that is not finished; the next one goes on with it
    STORE/.locks/                        who downloads what, and who uses what (flock)

A folder gets its final name only when all its files are verified and its manifest has reached the disk.
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from labeld.config.fields import ByteSize
from labeld.errors import StoreError, format_bytes
from labeld.repository.files import ModelFile
from labeld.repository.manifest import MANIFEST, USED, Manifest, Verifier, read_manifest, write_manifest
from labeld.system.disk import disk_errors, entries, tree_size
from labeld.system.file_locks import EXCLUSIVE, SHARED, Locks, unlock

REVISIONS = "revisions.json"
PARTIAL = ".partial"
COMMIT = re.compile(r"[0-9a-f]{40}")

SPARE = 64 * 1024 * 1024
"""Bytes of the disk that a download leaves free."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A model in the store, at one commit."""

    model_id: str
    revisions: tuple[str, ...]
    """Names of the revisions that are this commit."""
    commit: str
    folder: Path
    files: tuple[ModelFile, ...]
    size: int
    """Bytes."""
    last_used: float
    """Seconds since the epoch."""


class Store:
    """The models under one folder, which is created when it is first needed. Blocking and thread-safe."""

    def __init__(self, root: Path, limit: ByteSize) -> None:
        """`limit` bounds the size of the store."""
        self._root, self._limit = root, limit
        self._locks = Locks(root / ".locks")
        self.verifier = Verifier()
        self._uses: dict[Path, list[int]] = {}
        self._guard = threading.Lock()

    def folder(self, model_id: str, revision: str) -> Path | None:
        """The folder of a revision, unverified, which is cheap; None when it is not in the store."""
        commit = revision if COMMIT.fullmatch(revision) else self._revisions(model_id).get(revision, "")
        folder = self._folder(model_id) / commit
        return folder if COMMIT.fullmatch(commit) and (folder / MANIFEST).exists() else None

    def open(self, model_id: str, revision: str) -> tuple[Path, str] | None:
        """Folder and commit of a revision, verified, and not evicted until `close`. None when it must be downloaded."""
        folder = self.folder(model_id, revision)
        if folder is None:
            return None
        try:
            use = self._locks.take(_use(folder), SHARED)
        except OSError:  # nobody can evict from a store that cannot be written to
            use = None
        else:
            if use is None:  # it is being evicted
                return None
        if not self.verifier.is_whole(folder, model_id, folder.name):
            unlock(use)
            return None
        with self._guard:
            self._uses.setdefault(folder, []).extend([] if use is None else [use])
        with suppress(OSError):
            (folder / USED).touch()
        return folder, folder.name

    def close(self, folder: Path) -> None:
        """Ends one use, begun by `open`."""
        with self._guard:
            handles = self._uses.get(folder, [])
            unlock(handles.pop() if handles else None)

    def close_all(self) -> None:
        """Ends all uses of this object."""
        with self._guard:
            for handle in (handle for handles in self._uses.values() for handle in handles):
                unlock(handle)
            self._uses.clear()

    @contextmanager
    def downloading(self, model_id: str, stopping: threading.Event) -> Iterator[None]:
        """Holds the exclusive right of all threads and processes to change this model in the store; waits for it.

        Raises UnavailableError when `stopping` is set, and StoreError for whatever the disk refuses meanwhile.
        """
        with disk_errors():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self._locks.wait(self._folder(model_id).name, stopping)
            try:
                yield
            finally:
                unlock(lock)

    def in_bytes(self, size: ByteSize) -> int:
        """A size in bytes; a share is one of the store's disk."""
        return size.of(shutil.disk_usage(self._root).total)

    def begin(self, manifest: Manifest) -> Path:
        """The folder to download these files into, with room for them. It may hold some already, whole or in part.

        A damaged folder becomes such a folder: what is right in it need not be downloaded again.
        """
        final = self._folder(manifest.model_id) / manifest.commit
        partial = final.with_name(f"{manifest.commit}{PARTIAL}")
        for left in entries(final.parent):
            if left.suffix == PARTIAL and left != partial:
                shutil.rmtree(left)
        if final.exists() and not partial.exists():
            (final / MANIFEST).unlink(missing_ok=True)
            final.replace(partial)
        partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {file.name for file in manifest.files}
        for path in partial.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name.removesuffix(".part") not in names:
                path.unlink()
        self._make_room(manifest.model_id, manifest.size, manifest.size - tree_size(partial))
        return partial

    def reuse(self, model_id: str, file: ModelFile, path: Path) -> None:
        """Links the file from another commit of this model that has it, unverified: most commits change few files."""
        for stored in self._list(self._folder(model_id)):
            if file in stored.files and not path.exists():
                path.hardlink_to(stored.folder / file.name)

    def abandon(self, model_id: str, commit: str) -> None:
        """Removes an unfinished download."""
        shutil.rmtree(self._folder(model_id) / f"{commit}{PARTIAL}")
        self._tidy(self._folder(model_id))

    def publish(self, manifest: Manifest) -> tuple[Path, str]:
        """Publishes a download of verified files; returns its folder and commit, in use as after `open`."""
        partial = self._folder(manifest.model_id) / f"{manifest.commit}{PARTIAL}"
        write_manifest(partial, manifest)
        final = partial.with_name(manifest.commit)
        if final.exists():
            shutil.rmtree(final)
        use = self._locks.take(_use(final), SHARED)  # before anybody can see it and evict it
        try:
            partial.replace(final)
            found = self.open(manifest.model_id, manifest.commit)
        finally:
            unlock(use)
        if found is None:
            raise StoreError(f"Model {manifest.model_id} was changed in the store while it was downloaded: try again.")
        return found

    def name(self, model_id: str, revision: str, commit: str) -> None:
        """Points a revision to this commit, and removes commits without a revision that are not in use."""
        folder = self._folder(model_id)
        there = {stored.commit for stored in self._list(folder)}
        revisions = {name: one for name, one in self._revisions(model_id).items() if one in there} | {revision: commit}
        new = folder / f"{REVISIONS}.part"
        new.write_text(json.dumps(revisions), encoding="utf-8")
        new.replace(folder / REVISIONS)
        for stored in self._list(folder):
            if not stored.revisions:
                self._evict(stored)

    def list(self) -> list[Stored]:
        """All models of the store, the least recently used first."""
        found = [one for folder in entries(self._root) for one in self._list(folder)]
        return sorted(found, key=lambda one: one.last_used)

    def remove(self, model_id: str, stopping: threading.Event) -> int:
        """Removes a model with all its revisions; returns its bytes. Raises StoreError when it is in use."""
        with self.downloading(model_id, stopping):
            folder = self._folder(model_id)
            before = tree_size(folder)
            for stored in self._list(folder):
                if not self._evict(stored):
                    raise StoreError(
                        f"Model {model_id} is in use by a running server: stop it, or wait until it is idle."
                    )
            shutil.rmtree(folder, ignore_errors=True)
            return before

    def _folder(self, model_id: str) -> Path:
        """NOTE: a valid id has no `--` and at most one slash, so no two ids have one folder."""
        return self._root / model_id.replace("/", "--")

    def _revisions(self, model_id: str) -> dict[str, str]:
        try:
            stored = json.loads((self._folder(model_id) / REVISIONS).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return {name: str(commit) for name, commit in stored.items()} if isinstance(stored, dict) else {}

    def _list(self, folder: Path) -> Iterator[Stored]:
        for path in entries(folder):
            manifest = read_manifest(path)
            if manifest is None or path.name != manifest.commit:
                continue
            revisions = self._revisions(manifest.model_id).items()
            names = tuple(sorted(name for name, commit in revisions if commit == manifest.commit))
            used = path / USED if (path / USED).exists() else path
            with suppress(FileNotFoundError):  # it has been evicted meanwhile
                last_used = used.stat().st_mtime
                yield Stored(manifest.model_id, names, path.name, path, manifest.files, manifest.size, last_used)

    def _make_room(self, model_id: str, size: int, missing: int) -> None:
        """Removes the least recently used commits until the missing bytes fit within the limit and on the disk."""
        limit = self.in_bytes(self._limit)
        if size > limit:
            raise StoreError(
                f"Model {model_id} needs {format_bytes(size)}, but the store may take {format_bytes(limit)} "
                "(store_limit)."
            )

        def fits() -> bool:
            free = shutil.disk_usage(self._root).free
            return tree_size(self._root) + missing <= limit and missing + SPARE <= free

        if not fits():
            self._remove_left_downloads(model_id)
        candidates = iter(self.list())
        while not fits():
            victim = next(candidates, None)
            if victim is None:
                free = format_bytes(shutil.disk_usage(self._root).free)
                raise StoreError(
                    f"There is no room for the {format_bytes(missing)} of model {model_id}: {free} of the disk are "
                    f"free, store_limit is {format_bytes(limit)}, and the other models are in use."
                )
            self._evict(victim)

    def _remove_left_downloads(self, model_id: str) -> None:
        """Removes unfinished downloads of other models that no process is continuing."""
        for partial in (path for folder in entries(self._root) for path in entries(folder)):
            if partial.suffix == PARTIAL and partial.parent != self._folder(model_id):
                lock = self._locks.take(partial.parent.name, EXCLUSIVE)
                if lock is not None:
                    shutil.rmtree(partial, ignore_errors=True)
                    unlock(lock)

    def _evict(self, stored: Stored) -> bool:
        """Removes a commit unless it is in use."""
        lock = self._locks.take(_use(stored.folder), EXCLUSIVE)
        if lock is None:
            return False
        try:
            (stored.folder / MANIFEST).unlink(missing_ok=True)  # first, so that what is left is never a model
            with suppress(FileNotFoundError):  # another process has evicted it since it was listed
                shutil.rmtree(stored.folder)
            self._tidy(stored.folder.parent)
        finally:
            unlock(lock)
        return True

    def _tidy(self, folder: Path) -> None:
        """Removes a model's folder when only the names of revisions are left."""
        if {path.name for path in entries(folder)} <= {REVISIONS}:
            (folder / REVISIONS).unlink(missing_ok=True)
            with suppress(OSError):  # another process has begun to download it again
                folder.rmdir()


def _use(folder: Path) -> str:
    """Name of the lock that every use of a commit shares."""
    return f"{folder.parent.name}@{folder.name}"
