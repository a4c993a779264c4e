"""BERT's tokenizer: vocab.txt, and the lower-casing, accent and CJK rules of tokenizer_config.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from labeld.errors import FolderError
from labeld.tokenization.special_tokens import SpecialTokens, bert_template, read_special_tokens

VOCABULARY_FILE = "vocab.txt"

DEFAULTS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def read_word_piece(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a folder with vocab.txt; raises FolderError naming the file that is broken."""
    try:
        vocabulary = models.WordPiece.read_file(str(folder / VOCABULARY_FILE))
    except Exception:  # noqa: BLE001  # the library raises bare Exception for every broken file
        raise FolderError(f"{VOCABULARY_FILE} is not a UTF-8 list of words.") from None
    return build_word_piece(vocabulary, read_special_tokens(folder, config, DEFAULTS), config, VOCABULARY_FILE)


def build_word_piece(
    vocabulary: dict[str, int], tokens: SpecialTokens, config: Mapping[str, Any], file: str
) -> Tokenizer:
    """As transformers' BertTokenizer builds it; raises FolderError when a special token is not in the `file`."""
    strip_accents = config.get("strip_accents")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=tokens.text("unk_token")))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
        strip_accents=None if strip_accents is None else bool(strip_accents),
        lowercase=bool(config.get("do_lower_case", True)),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokens.add_to(tokenizer)
    tokens.place(tokenizer, "unk_token", file)
    tokenizer.post_processor = bert_template(
        tokens.place(tokenizer, "cls_token", file), tokens.place(tokenizer, "sep_token", file)
    )
    return tokenizer
