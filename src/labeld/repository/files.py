"""The files of a model on the Hub that are needed to answer, with their sizes and hashes."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from labeld.checkpoint.file_names import CONFIG, INDEX_SUFFIX, TOKENIZER, WEIGHTS
from labeld.checkpoint.shards import parse_index
from labeld.errors import FolderError

BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file as the Hub describes it."""

    name: str
    size: int
    """Bytes."""
    digest: str
    """`sha256:` of the content (large files), or `git-sha1:` of the git blob (small ones), in hex."""

    @property
    def is_weights(self) -> bool:
        """True for weights, False for the small files beside them."""
        return self.name.endswith((".safetensors", ".bin", INDEX_SUFFIX))

    def is_content_of(self, path: Path) -> bool:
        """True when a file has exactly this size and hash. Raises OSError when it cannot be read."""
        if path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            return self._is_content(iter(lambda: file.read(BLOCK), b""))

    def is_content(self, content: bytes) -> bool:
        """True when these bytes have this size and hash."""
        return len(content) == self.size and self._is_content([content])

    def _is_content(self, blocks: Iterable[bytes]) -> bool:
        algorithm, _, expected = self.digest.partition(":")
        if algorithm == "sha256":
            found = hashlib.sha256()
        else:  # NOTE: git hashes a header with the size before the content
            found = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        for block in blocks:
            found.update(block)
        return found.hexdigest() == expected


def needed_files(files: Iterable[ModelFile], read_index: Callable[[ModelFile], bytes]) -> list[ModelFile]:
    """The files that are needed to answer, in the order of download: config, tokenizer, weights.

    `read_index` gets the content of the file that names the shards, where the weights are in several. Raises
    FolderError when there is no config.json, no weights of a form that can be read, or not all of their shards.
    """
    by_name = {file.name: file for file in files}
    if CONFIG not in by_name:
        raise FolderError("config.json is missing.")
    form = next((name for name in WEIGHTS if name in by_name), None)
    if form is None:
        raise FolderError(f"There are no weights: none of {', '.join(WEIGHTS)}.")
    shards: list[str] = []
    if form.endswith(INDEX_SUFFIX):
        shards = sorted(set(parse_index(form, read_index(by_name[form])).values()))
        missing = next((name for name in shards if name not in by_name), None)
        if missing is not None:
            raise FolderError(f"{form} names the file {missing}, which is missing.")
    return [by_name[name] for name in (CONFIG, *TOKENIZER, form, *shards) if name in by_name]
