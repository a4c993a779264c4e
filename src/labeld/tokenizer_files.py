"""The tokenizer files of a model folder -> a `tokenizers.Tokenizer` that gives transformers' ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from labeld.errors import FolderError
from labeld.model_config import read_json

SANE_LENGTH = 1_000_000
"""A model_max_length above this is transformers' way of saying that there is none."""


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer without truncation or padding, and what tokenizer_config.json says of lengths."""

    tokenizer: Tokenizer
    max_length: int | None
    """`model_max_length`, if it is a sane one; tokens."""
    truncation_side: Literal["left", "right"]


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """The folder's tokenizer: tokenizer.json, else vocab.txt (WordPiece).

    Raises FolderError naming the file that is missing or broken.
    """
    config_file = folder / "tokenizer_config.json"
    config = read_json(config_file) if config_file.exists() else {}
    if (folder / "tokenizer.json").exists():
        tokenizer = _from_json(folder / "tokenizer.json")
    elif (folder / "vocab.txt").exists():
        tokenizer = _word_piece(folder / "vocab.txt", config)
    else:
        raise FolderError("There is no tokenizer: neither tokenizer.json nor vocab.txt.")
    tokenizer.no_truncation()  # contract section 5: what the file says of truncation and padding is not used
    tokenizer.no_padding()
    length = config.get("model_max_length")
    max_length = int(length) if isinstance(length, int | float) and 0 < length <= SANE_LENGTH else None
    return TokenizerFiles(tokenizer, max_length, "left" if config.get("truncation_side") == "left" else "right")


def _from_json(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception:  # noqa: BLE001  # the library raises bare Exception for every broken file
        raise FolderError(f"{path.name} is not a tokenizer that can be read.") from None


def _word_piece(path: Path, config: dict[str, Any]) -> Tokenizer:
    """BERT's tokenizer, with the lower-casing, accent and CJK rules of tokenizer_config.json."""
    try:
        words = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise FolderError(f"{path.name} is not a UTF-8 list of words.") from None
    vocabulary = {word.rstrip("\r"): index for index, word in enumerate(words) if word or index < len(words) - 1}
    special = {
        role: _content(config.get(f"{role}_token", default))
        for role, default in (
            ("unk", "[UNK]"),
            ("sep", "[SEP]"),
            ("pad", "[PAD]"),
            ("cls", "[CLS]"),
            ("mask", "[MASK]"),
        )
    }
    for role in ("unk", "sep", "cls"):
        if special[role] not in vocabulary:
            raise FolderError(f"{path.name} has no {special[role]} token.")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
        strip_accents=config.get("strip_accents"),
        lowercase=bool(config.get("do_lower_case", True)),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    separator, first = special["sep"], special["cls"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {separator}:0",
        pair=f"{first}:0 $A:0 {separator}:0 $B:1 {separator}:1",
        special_tokens=[(first, vocabulary[first]), (separator, vocabulary[separator])],
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in special.values() if token in vocabulary]
    )
    return tokenizer


def _content(token: Any) -> str:
    """A special token's text; tokenizer_config.json writes it as a string or as an AddedToken object."""
    return str(token["content"]) if isinstance(token, dict) and "content" in token else str(token)
