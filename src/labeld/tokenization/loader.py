"""The tokenizer files of a model folder, in whichever form it has them -> a tokenizer that gives transformers' ids."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer

from labeld.checkpoint.config import read_json
from labeld.errors import FolderError
from labeld.tokenization import byte_level_bpe, tokenizer_json, wordpiece
from labeld.tokenization.classes import AS_IT_IS, BERT_CLASSES, ROBERTA_CLASSES, has_token_types, tokenizer_class
from labeld.tokenization.sentencepiece import LAYOUTS, read_sentencepiece
from labeld.tokenization.special_tokens import CONFIG_FILE

SANE_LENGTH = 1_000_000
"""A model_max_length above this is transformers' way of saying that there is none."""


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer without truncation or padding, and what tokenizer_config.json says of it."""

    tokenizer: Tokenizer
    max_length: int | None
    """`model_max_length`, if it is a sane one; tokens."""
    truncation_side: Literal["left", "right"]
    token_types: bool
    """Whether the model gets the tokenizer's token types; else they are all 0."""


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """The folder's tokenizer: tokenizer.json, else the bare files of the class that the folder names.

    Raises FolderError naming the file that is missing or broken.
    """
    config, model_config = _optional(folder / CONFIG_FILE), _optional(folder / "config.json")
    class_name = tokenizer_class(model_config, config)
    tokenizer = _read(folder, config, class_name)
    tokenizer.no_truncation()  # contract section 5: what the file says of truncation and padding is not used
    tokenizer.no_padding()
    length = config.get("model_max_length", config.get("max_len"))
    max_length = int(length) if isinstance(length, int | float) and 0 < length <= SANE_LENGTH else None
    side: Literal["left", "right"] = "left" if config.get("truncation_side") == "left" else "right"
    return TokenizerFiles(tokenizer, max_length, side, has_token_types(class_name, config))


def _read(folder: Path, config: dict[str, Any], class_name: str) -> Tokenizer:
    if (folder / tokenizer_json.FILE).exists():
        return tokenizer_json.read_tokenizer_json(folder, config, class_name)
    if class_name in BERT_CLASSES:
        _require(folder, wordpiece.VOCABULARY_FILE)
        return wordpiece.read_word_piece(folder, config)
    if class_name in ROBERTA_CLASSES:
        _require(folder, byte_level_bpe.VOCABULARY_FILE)
        return byte_level_bpe.read_byte_bpe(folder, config)
    if class_name in LAYOUTS:
        _require(folder, LAYOUTS[class_name].file)
        return read_sentencepiece(folder, config, class_name)
    which = "" if class_name == AS_IT_IS else f" of a {class_name}"
    raise FolderError(
        f"There is no {tokenizer_json.FILE}, and the other files{which} cannot be read without it: save "
        f"{tokenizer_json.FILE} with transformers."
    )


def _require(folder: Path, file: str) -> None:
    if not (folder / file).exists():
        raise FolderError(f"There is no tokenizer: neither {tokenizer_json.FILE} nor {file}.")


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
