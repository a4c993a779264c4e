"""The Hugging Face cache: models that `hf download`, transformers and others have downloaded.

    ROOT/models--org--name/refs/main             which commit the branch is
    ROOT/models--org--name/snapshots/<commit>/   a link to a blob for each file
    ROOT/models--org--name/blobs/<hash>          the content, by its SHA-256, or by git's SHA-1 where it is small

Its files are used where they lie: nothing is copied, written or removed here. A file counts when it is a link to a blob
of its model that has the hash of its name (huggingface_hub's `file_download.py` lays it out).
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labeld.checkpoint.config import read_config
from labeld.checkpoint.file_names import CONFIG, INDEX_SUFFIX, TOKENIZER, WEIGHTS
from labeld.checkpoint.plain_file import read_plain
from labeld.checkpoint.shards import weight_files
from labeld.errors import FolderError
from labeld.model_id import valid_id
from labeld.repository.files import ModelFile
from labeld.repository.manifest import Verifier

COMMIT = re.compile(r"[0-9a-f]{40}")
REF_LIMIT = 100
"""Bytes of a ref, the file with a branch's commit, at most."""

ALGORITHMS = {40: "git-sha1", 64: "sha256"}
"""Length of a blob's name -> its hash algorithm."""


class HfCache:
    """The models of one Hugging Face cache, which need not exist. Reads only; for several threads."""

    def __init__(self, root: Path, verifier: Verifier) -> None:
        self._root, self._verifier = root, verifier

    def has(self, folder: Path) -> bool:
        """True when a model's folder lies in this cache."""
        return folder.is_relative_to(self._root)

    def folder(self, model_id: str, revision: str) -> Path | None:
        """The folder of a revision that has a config and weights, unverified; None without one."""
        repository = self._repository(model_id)
        commit = revision
        if not COMMIT.fullmatch(revision):
            try:
                commit = read_plain(repository / "refs" / revision, REF_LIMIT).decode("ascii", "replace").strip()
            except FolderError:
                return None
        folder = repository / "snapshots" / commit
        with suppress(OSError):
            if COMMIT.fullmatch(commit) and any((folder / name).exists() for name in WEIGHTS):
                return folder if (folder / CONFIG).exists() else None
        return None

    def open(self, model_id: str, revision: str) -> tuple[Path, str] | None:
        """Folder and commit of a revision with verified files; None when a file is missing or has a wrong hash."""
        folder = self.folder(model_id, revision)
        with suppress(OSError, FolderError):
            if folder is not None and all(map(self._is_right, _needed(folder))):
                return folder, folder.name
        return None

    def classifiers(self, revision: str) -> Iterator[tuple[str, Path]]:
        """Id and folder, unverified, of each model with this revision whose config is a classifier's."""
        with suppress(OSError):
            for repository in sorted(self._root.iterdir()):
                kind, _, name = repository.name.partition("--")
                model_id = name.replace("--", "/", 1)
                if kind == "models" and valid_id(model_id) and (folder := self.folder(model_id, revision)):
                    with suppress(FolderError):
                        read_config(folder)
                        yield model_id, folder

    def _repository(self, model_id: str) -> Path:
        """NOTE: a valid id has no `--` and at most one slash, so no two ids have one folder."""
        return self._root / f"models--{model_id.replace('/', '--')}"

    def _is_right(self, link: Path) -> bool:
        """True when a file of a snapshot links to a blob of its model, and the blob has the hash of its name."""
        blob = link.resolve()
        algorithm = ALGORITHMS.get(len(blob.name))
        if not link.is_symlink() or algorithm is None or blob.parent != (link.parents[2] / "blobs").resolve():
            return False
        return self._verifier.is_right(blob, ModelFile(blob.name, blob.stat().st_size, f"{algorithm}:{blob.name}"))


def _needed(folder: Path) -> Iterator[Path]:
    """The files of a snapshot that decide its answers, the small ones first; raises FolderError when one is missing."""
    small = (CONFIG, *TOKENIZER, *(name for name in WEIGHTS if name.endswith(INDEX_SUFFIX)))
    yield from (folder / name for name in small if (folder / name).exists())
    yield from (folder / name for name in weight_files(folder))
