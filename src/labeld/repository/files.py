"""Which files of a model on the Hub are needed, and what each must be: its size and its hash."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labeld.errors import FolderError

CONFIG = "config.json"

TOKENIZER = (
    *("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt"),
    *("tokenizer.model", "sentencepiece.bpe.model", "spiece.model", "spm.model"),
)
"""Every file from which a tokenizer is made, by the names of transformers."""

WEIGHTS = (
    ("model.safetensors", None),
    ("model.safetensors.index.json", re.compile(r"model-\d{5}-of-\d{5}\.safetensors")),
    ("pytorch_model.bin", None),
    ("pytorch_model.bin.index.json", re.compile(r"pytorch_model-\d{5}-of-\d{5}\.bin")),
)
"""The forms of weights, the best first, as `checkpoint` reads them: the file that says so, and its shards."""

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
        """Whether it belongs to the weights, rather than to the small files that say what they are."""
        return self.name.endswith((".safetensors", ".bin", ".index.json"))

    def is_content_of(self, path: Path) -> bool:
        """Whether a file has exactly this size and hash. Raises OSError when it cannot be read."""
        if path.stat().st_size != self.size:
            return False
        algorithm, _, expected = self.digest.partition(":")
        if algorithm == "sha256":
            found = hashlib.sha256()
        else:  # NOTE: what git hashes is not the content alone
            found = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                found.update(block)
        return found.hexdigest() == expected


def needed_files(files: Iterable[ModelFile]) -> list[ModelFile]:
    """Those of a model's files that are needed to answer, in the order to get them: config, tokenizer, weights.

    Raises FolderError when it has no config.json, or no weights of a form that can be read.
    """
    by_name = {file.name: file for file in files}
    if CONFIG not in by_name:
        raise FolderError("config.json is missing.")
    form = next((form for form in WEIGHTS if form[0] in by_name), None)
    if form is None:
        raise FolderError(f"There are no weights: none of {', '.join(name for name, _ in WEIGHTS)}.")
    marker, shard = form
    shards = sorted(name for name in by_name if shard is not None and shard.fullmatch(name))
    return [by_name[name] for name in (CONFIG, *TOKENIZER, marker, *shards) if name in by_name]
