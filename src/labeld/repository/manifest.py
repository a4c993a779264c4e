"""The manifest of a folder in the store: the files it must hold, with their sizes and hashes.

The hashes guard against the network, a power cut, a bad disk and a careless edit; not against somebody who may write
to the store and forges a manifest.
"""

import hashlib
import json
import logging
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeld.repository.files import ModelFile

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
USED = ".used"
"""A file of the folder whose modification time is that of the last use."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The needed files of one commit."""

    model_id: str
    commit: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest as the last file of a folder, after all others have reached the disk."""
    for file in manifest.files:
        _sync(folder / file.name)
    content = {
        "model_id": manifest.model_id,
        "commit": manifest.commit,
        "files": [asdict(one) for one in manifest.files],
    }
    partial = folder / f"{MANIFEST}.part"
    partial.write_text(json.dumps(content | {"checksum": _checksum(content)}, indent=1), encoding="utf-8")
    _sync(partial)
    partial.replace(folder / MANIFEST)
    _sync(folder)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, or None when there is none or it was changed by hand."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        checksum = content.pop("checksum")
        files = tuple(ModelFile(one["name"], one["size"], one["digest"]) for one in content["files"])
        manifest = Manifest(content["model_id"], content["commit"], files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    plain = all(isinstance(file.name, str) and "/" not in file.name for file in manifest.files)
    return manifest if plain and checksum == _checksum(content) else None


class Verifier:
    """Hashes the files of folders, each file once as long as it does not change. For several threads."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int, int, int, int]] = set()

    def is_whole(self, folder: Path, model_id: str, commit: str) -> bool:
        """True when the folder holds exactly the files of this model's manifest."""
        manifest = read_manifest(folder)
        if manifest is None or (manifest.model_id, manifest.commit) != (model_id, commit):
            return False
        names = {file.name for file in manifest.files}
        try:
            strangers = {path.name for path in folder.iterdir()} - names - {MANIFEST, USED}
            wrong = next((file.name for file in manifest.files if not self.is_right(folder / file.name, file)), None)
        except OSError:
            wrong, strangers = MANIFEST, set()
        if wrong or strangers:
            logger.warning("the stored model %s is damaged at %s", model_id, wrong or ", ".join(sorted(strangers)))
        return not (wrong or strangers)

    def is_right(self, path: Path, file: ModelFile) -> bool:
        """True for a regular file with this size and hash. Raises OSError when it cannot be read."""
        try:
            status = path.lstat()
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(status.st_mode):
            return False
        key = (file.digest, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._known and file.is_content_of(path):
            self._known.add(key)
        return key in self._known


def _checksum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sync(path: Path) -> None:
    """Waits until a file or folder has reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
