"""RoBERTa's tokenizer, byte-level BPE: vocab.json and merges.txt."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from labeld.checkpoint.config import read_json
from labeld.errors import FolderError
from labeld.tokenization.special_tokens import FAIRSEQ_DEFAULTS, SpecialTokens, read_special_tokens

VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"

Merges = list[tuple[str, str]]


def read_byte_bpe(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a folder with vocab.json and merges.txt; raises FolderError naming the file that is broken."""
    vocabulary = require_vocabulary(read_json(folder / VOCABULARY_FILE), VOCABULARY_FILE)
    if not (folder / MERGES_FILE).exists():
        raise FolderError(f"{MERGES_FILE} is missing beside {VOCABULARY_FILE}.")
    try:
        _, merges = models.BPE.read_file(str(folder / VOCABULARY_FILE), str(folder / MERGES_FILE))
    except Exception:  # noqa: BLE001  # the library raises bare Exception for every broken file
        raise FolderError(f"{MERGES_FILE} is not a UTF-8 list of pairs.") from None
    tokens = read_special_tokens(folder, config, FAIRSEQ_DEFAULTS)
    return build_byte_bpe(vocabulary, merges, tokens, config, MERGES_FILE)


def require_vocabulary(content: Mapping[str, Any], file: str) -> dict[str, int]:
    """Tokens to ids, which must be 0, 1, 2, … in any order; raises FolderError naming the `file`."""
    if not content or any(type(number) is not int for number in content.values()):
        raise FolderError(f"{file} is not an object of tokens and their whole-number ids.")
    numbers = set(content.values())
    if len(numbers) < len(content):
        raise FolderError(f"{file} gives the same id to two tokens.")
    if min(numbers) != 0 or max(numbers) != len(numbers) - 1:
        raise FolderError(f"{file} has {len(numbers)} tokens, but their ids are not 0 to {len(numbers) - 1}.")
    return dict(content)


def build_byte_bpe(
    vocabulary: dict[str, int], merges: Merges, tokens: SpecialTokens, config: Mapping[str, Any], file: str
) -> Tokenizer:
    """As transformers' RobertaTokenizer builds it; raises FolderError naming the `file` that has the merges."""
    add_prefix_space = bool(config.get("add_prefix_space", False))
    try:
        model = models.BPE(vocabulary, merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False)
    except Exception:  # noqa: BLE001  # the library raises bare Exception
        raise FolderError(f"{file} joins tokens that {VOCABULARY_FILE} does not have.") from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    tokens.add_to(tokenizer)
    tokenizer.post_processor = processors.RobertaProcessing(
        tokens.place(tokenizer, "sep_token", VOCABULARY_FILE),
        tokens.place(tokenizer, "cls_token", VOCABULARY_FILE),
        trim_offsets=bool(config.get("trim_offsets", True)),
        add_prefix_space=add_prefix_space,
    )
    return tokenizer
