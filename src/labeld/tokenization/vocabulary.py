"""The vocabulary of a folder, from tokenizer.json or from bare files."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models
from tokenizers.processors import PostProcessor

from labeld.errors import FolderError
from labeld.tokenization.files import read_object, require_size
from labeld.tokenization.guard import failures_as

TOKENIZER_FILE = "tokenizer.json"
WORDS_FILE, BPE_FILE, MERGES_FILE = "vocab.txt", "vocab.json", "merges.txt"

EMPTY_TOKENIZER = {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []}

LARGEST_ID = 2**32 - 1

Words = dict[str, int]
Pieces = list[tuple[str, float]]
"""Pieces and the logarithms of their probabilities, in id order."""
Merges = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FileSettings:
    """The parts of tokenizer.json that every class takes where tokenizer_config.json does not say otherwise."""

    post_processor: PostProcessor | None = None
    truncation_side: str | None = None
    pad_token: str | None = None
    """Token of the file's padding."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens and ids, and the other parts of tokenizer.json that a class may keep."""

    file: str
    """Name of its file, for sentences."""
    entries: Words | Pieces
    merges: Merges
    character_map: bytes | None = None
    """precompiled_charsmap of a sentencepiece model."""
    settings: FileSettings = FileSettings()

    @property
    def words(self) -> Words:
        """Tokens to ids; pieces are numbered in their order."""
        if isinstance(self.entries, dict):
            return self.entries
        return {piece: index for index, (piece, _) in enumerate(self.entries)}

    @property
    def pieces(self) -> Pieces:
        """Raises FolderError when the file has words without scores."""
        if isinstance(self.entries, dict):
            raise FolderError(f"{self.file} has no pieces with scores, which this kind of tokenizer needs.")
        return self.entries


def from_content(content: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary of a parsed tokenizer.json; raises FolderError when it is broken."""
    model = content.get("model")
    if not isinstance(model, dict):
        raise broken()
    entries, merges = model.get("vocab"), model.get("merges") or []
    if isinstance(entries, dict):
        _require_ids(entries, TOKENIZER_FILE)
    elif isinstance(entries, list):
        entries = _pieces(entries)
    else:
        raise broken()
    return Vocabulary(
        TOKENIZER_FILE, entries, _merges(merges), _character_map(content.get("normalizer")), _settings(content)
    )


def from_words_file(folder: Path) -> Vocabulary:
    """vocab.txt, a word a line; raises FolderError when it is broken."""
    _require(folder, WORDS_FILE)
    with failures_as(lambda: FolderError(f"{WORDS_FILE} is not a UTF-8 list of words.")):
        return Vocabulary(WORDS_FILE, models.WordPiece.read_file(str(folder / WORDS_FILE)), [])


def from_bpe_files(folder: Path) -> Vocabulary:
    """vocab.json and merges.txt; raises FolderError naming the one that is broken."""
    _require(folder, BPE_FILE)
    words = read_object(folder / BPE_FILE)
    _require_ids(words, BPE_FILE)
    if not (folder / MERGES_FILE).exists():
        raise FolderError(f"{MERGES_FILE} is missing beside {BPE_FILE}.")
    require_size(folder / MERGES_FILE)
    with failures_as(lambda: FolderError(f"{MERGES_FILE} is not a UTF-8 list of pairs.")):
        _, merges = models.BPE.read_file(str(folder / BPE_FILE), str(folder / MERGES_FILE))
    return Vocabulary(BPE_FILE, words, merges)


def settings_of(tokenizer: Tokenizer) -> FileSettings:
    """The settings of a tokenizer as its file has them."""
    truncation, padding = tokenizer.truncation or {}, tokenizer.padding or {}
    return FileSettings(tokenizer.post_processor, truncation.get("direction"), padding.get("pad_token"))


def broken() -> FolderError:
    """The failure of a tokenizer.json that the tokenizers library does not take."""
    return FolderError(f"{TOKENIZER_FILE} is not a tokenizer that can be read.")


def _require(folder: Path, file: str) -> None:
    if not (folder / file).exists():
        raise FolderError(f"There is no tokenizer: neither {TOKENIZER_FILE} nor {file}.")
    require_size(folder / file)


def _require_ids(words: Mapping[str, Any], file: str) -> None:
    """Raises FolderError for an impossible id; gaps and shared ids are allowed, as in the tokenizers library."""
    if not words or any(type(number) is not int or not 0 <= number <= LARGEST_ID for number in words.values()):
        raise FolderError(f"{file} does not give every token a whole number as its id.")


def _pieces(entries: list[Any]) -> Pieces:
    try:
        return [(str(piece), float(score)) for piece, score in entries]
    except (TypeError, ValueError):
        raise broken() from None


def _merges(merges: Any) -> Merges:
    """The merges, in either form of the file: "a b" or ["a", "b"]."""
    if not isinstance(merges, list):
        raise broken()
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else merge for merge in merges]
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise broken()
    return [(str(left), str(right)) for left, right in pairs]


def _character_map(normalizer: Any) -> bytes | None:
    """The first precompiled character map of the file's normalizer."""
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    for step in steps:
        if isinstance(step, dict) and step.get("type") == "Precompiled" and step.get("precompiled_charsmap"):
            try:
                return base64.b64decode(step["precompiled_charsmap"])
            except (TypeError, ValueError):
                raise broken() from None
    return None


def _settings(content: Mapping[str, Any]) -> FileSettings:
    """The settings of a parsed file, read with a tokenizer without a vocabulary, which takes no time."""
    parts = {name: content.get(name) for name in ("post_processor", "truncation", "padding")}
    with failures_as(broken):
        return settings_of(Tokenizer.from_str(json.dumps({**EMPTY_TOKENIZER, **parts})))
