"""The sizes up to which tokenizer files are parsed: a parser holds the interpreter for as long as it takes."""

from pathlib import Path
from typing import Any

from labeld.checkpoint.config import read_json
from labeld.checkpoint.plain_file import require_plain

MIB = 1024 * 1024

LIMITS = {
    "tokenizer.json": 48 * MIB,
    "spm.model": 20 * MIB,
    "sentencepiece.bpe.model": 20 * MIB,
    "vocab.json": 16 * MIB,
    "vocab.txt": 16 * MIB,
    "merges.txt": 16 * MIB,
    "config.json": 8 * MIB,
    "tokenizer_config.json": 8 * MIB,
    "special_tokens_map.json": 8 * MIB,
    "added_tokens.json": 8 * MIB,
}
"""Bytes by file name. Of published models XLM-R has 17 MB of tokenizer.json, and Gemma, with 262,144 tokens, 34 MB.

A sentencepiece file of empty pieces takes 30 times its size before it is refused; XLM-R's 250,000 pieces take 5 MB.
"""


def require_size(path: Path) -> None:
    """Raises FolderError naming a tokenizer file that is no file, or too large to be parsed; a missing one passes."""
    if path.exists():
        require_plain(path, LIMITS[path.name])


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a tokenizer file; raises FolderError naming a file that is missing, broken or too large."""
    return read_json(path, LIMITS[path.name])
