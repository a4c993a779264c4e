"""The tokenizer files of a model folder, in any form -> a tokenizer that gives transformers' ids."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer
from tokenizers.models import BPE

from labeld.checkpoint.plain_file import read_plain
from labeld.errors import FolderError
from labeld.tokenization.build import build
from labeld.tokenization.files import LIMITS, read_object
from labeld.tokenization.recipes import RECIPES
from labeld.tokenization.special_tokens import CONFIG_FILE, read_special_tokens
from labeld.tokenization.tokenizer_class import AS_IT_IS, has_token_types, tokenizer_class
from labeld.tokenization.tokenizer_json import read_tokenizer_json
from labeld.tokenization.vocabulary import TOKENIZER_FILE, FileSettings, from_bpe_files, from_words_file

SANE_LENGTH = 1_000_000
"""Tokens; transformers writes a larger model_max_length where there is no limit."""


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer without truncation or padding, and the limits that tokenizer_config.json sets."""

    tokenizer: Tokenizer
    max_length: int | None
    """`model_max_length` in tokens; None without one, or above SANE_LENGTH."""
    truncation_side: Literal["left", "right"]
    token_types: bool
    """True when the model gets the tokenizer's token types; else they are all 0."""


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """The folder's tokenizer: tokenizer.json, else the bare files of the class that the folder names.

    Raises FolderError naming the file that is missing or broken.
    """
    config, model_config = _optional(folder / CONFIG_FILE), _optional(folder / "config.json")
    _require_readable(config)
    class_name = tokenizer_class(model_config, config, partial(_speaks_of_byte_level, folder / TOKENIZER_FILE))
    tokenizer, settings = _read(folder, config, class_name)
    tokenizer.no_truncation()  # contract section 5: lengths and padding of the file are not used
    tokenizer.no_padding()
    if isinstance(tokenizer.model, BPE):
        # NOTE: from 0.23 on each thread keeps the words that it has met for as long as it lives, not the tokenizer
        tokenizer.model._resize_cache(0)  # noqa: SLF001  # the only way, of a tokenizer.json
    tokenizer.encode_special_tokens = bool(config.get("split_special_tokens", False))
    side = config.get("truncation_side", settings.truncation_side or "right")
    if side not in ("left", "right"):
        raise FolderError(f"{CONFIG_FILE}: truncation_side is {side!r}, but must be left or right.")
    return TokenizerFiles(tokenizer, _length(config), side, has_token_types(class_name, config))


def stated_length(folder: Path) -> int | None:
    """`model_max_length` of a folder's tokenizer, as `TokenizerFiles` has it; raises FolderError."""
    return _length(_optional(folder / CONFIG_FILE))


def _length(config: dict[str, Any]) -> int | None:
    length = config.get("model_max_length", config.get("max_len"))
    return int(length) if isinstance(length, int | float) and 0 < length <= SANE_LENGTH else None


def _read(folder: Path, config: dict[str, Any], class_name: str) -> tuple[Tokenizer, FileSettings]:
    if (folder / TOKENIZER_FILE).exists():
        return read_tokenizer_json(folder, config, class_name)
    from labeld.tokenization.sentencepiece import LAYOUTS, read_sentencepiece  # noqa: PLC0415  # few models need it

    if class_name in LAYOUTS:
        if not (folder / LAYOUTS[class_name].file).exists():
            raise FolderError(f"There is no tokenizer: neither {TOKENIZER_FILE} nor {LAYOUTS[class_name].file}.")
        return read_sentencepiece(folder, config, class_name), FileSettings()
    recipe = RECIPES.get(class_name)
    if recipe is None or recipe.files == "none":
        which = "" if class_name == AS_IT_IS else f" of a {class_name}"
        raise FolderError(
            f"There is no {TOKENIZER_FILE}, and the other files{which} cannot be read without it: save "
            f"{TOKENIZER_FILE} with transformers."
        )
    vocabulary = from_words_file(folder) if recipe.files == "words" else from_bpe_files(folder)
    tokens = read_special_tokens(folder, config, recipe.tokens, recipe.rules)
    return build(recipe, vocabulary, tokens, config), vocabulary.settings


def _require_readable(config: dict[str, Any]) -> None:
    """Raises FolderError when tokenizer_config.json asks for another file, or for another pattern than the file's."""
    files = config.get("fast_tokenizer_files")
    if files and files != [TOKENIZER_FILE]:
        raise FolderError(f"{CONFIG_FILE}: fast_tokenizer_files names other files than {TOKENIZER_FILE}.")
    if config.get("fix_mistral_regex"):
        raise FolderError(f"{CONFIG_FILE}: fix_mistral_regex is true: save {TOKENIZER_FILE} with the right pattern.")


def _speaks_of_byte_level(path: Path) -> bool:
    """True for a file with "ByteLevel", by which transformers tells Llama 3's tokenizers from Llama 2's."""
    if not path.exists():
        return False
    return b'"ByteLevel"' in read_plain(path, LIMITS[path.name])


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}
