"""The tokenizers of XLM-RoBERTa, CamemBERT and DeBERTa-v2 as transformers 5 rebuilds them from tokenizer.json.

transformers keeps only the pieces and, for the first two, the character map; its DebertaV2Tokenizer normalises with NFC
instead of the map. From a bare sentencepiece file `sentencepiece_file` does what sentencepiece does.
"""

from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from labeld.errors import FolderError
from labeld.tokenization.special_tokens import FAIRSEQ_DEFAULTS, SpecialTokens, Token, bert_template, fairseq_template

Pieces = list[tuple[str, float]]
"""Pieces and the logarithms of their probabilities, in id order."""

CAMEMBERT_DEFAULTS = {**FAIRSEQ_DEFAULTS, "mask_token": AddedToken("<mask>", lstrip=True, special=True)}
CAMEMBERT_EXTRA = ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")
DEBERTA_DEFAULTS: Mapping[str, Token] = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def build_xlm_roberta(
    pieces: Pieces, character_map: bytes | None, tokens: SpecialTokens, config: Mapping[str, Any], file: str
) -> Tokenizer:
    """As transformers' XLMRobertaTokenizer; raises FolderError naming the `file` that does not fit."""
    tokenizer = _fairseq(pieces, 3, character_map, config, file)
    tokens.add_to(tokenizer)
    return _between_bos_and_eos(tokenizer, tokens, file)


def build_camembert(
    pieces: Pieces, character_map: bytes | None, tokens: SpecialTokens, config: Mapping[str, Any], file: str
) -> Tokenizer:
    """As transformers' CamembertTokenizer; raises FolderError naming the `file` that does not fit."""
    unknown = tokens.text("unk_token")
    unknown_id = next((index for index, (piece, _) in enumerate(pieces) if piece == unknown), 0)
    tokenizer = _fairseq(pieces, unknown_id, character_map, config, file)
    tokens.add_to(tokenizer, CAMEMBERT_EXTRA)
    return _between_bos_and_eos(tokenizer, tokens, file)


def build_deberta_v2(
    pieces: Pieces, character_map: bytes | None, tokens: SpecialTokens, config: Mapping[str, Any], file: str
) -> Tokenizer:
    """As transformers' DebertaV2Tokenizer, which leaves the map aside; raises FolderError naming the `file`."""
    del character_map
    unknown = (tokens.text("unk_token"), 0.0)
    unknown_id = pieces.index(unknown) if unknown in pieces else config.get("unk_id", 1)
    tokenizer = Tokenizer(_unigram(pieces, unknown_id, file))
    steps: list[Normalizer] = [normalizers.Lowercase()] if config.get("do_lower_case", False) else []
    steps += [
        normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "),
        normalizers.NFC(),
        normalizers.Strip(left=False, right=True),
    ]
    tokenizer.normalizer = normalizers.Sequence(steps)
    prepend_scheme = "always" if config.get("add_prefix_space", True) else "first"
    pre_tokenizer: list[PreTokenizer] = []
    if config.get("split_by_punct", False):
        pre_tokenizer.append(pre_tokenizers.Punctuation(behavior="isolated"))
    pre_tokenizer.append(pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pre_tokenizer)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend_scheme)
    tokens.add_to(tokenizer)
    tokenizer.post_processor = bert_template(
        tokens.place(tokenizer, "cls_token", file), tokens.place(tokenizer, "sep_token", file)
    )
    return tokenizer


def _fairseq(
    pieces: Pieces, unknown_id: int, character_map: bytes | None, config: Mapping[str, Any], file: str
) -> Tokenizer:
    """Words at white space, each with its mark in front."""
    tokenizer = Tokenizer(_unigram(pieces, unknown_id, file))
    if character_map is not None:
        try:
            tokenizer.normalizer = normalizers.Precompiled(character_map)
        except Exception:  # noqa: BLE001  # the library raises bare Exception
            raise FolderError(f"{file} has a character map that cannot be read.") from None
    prepend_scheme = "always" if config.get("add_prefix_space", True) else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend_scheme)
    return tokenizer


def _between_bos_and_eos(tokenizer: Tokenizer, tokens: SpecialTokens, file: str) -> Tokenizer:
    tokenizer.post_processor = fairseq_template(
        tokens.place(tokenizer, "bos_token", file), tokens.place(tokenizer, "eos_token", file)
    )
    return tokenizer


def _unigram(pieces: Pieces, unknown_id: Any, file: str) -> models.Unigram:
    if type(unknown_id) is not int or not 0 <= unknown_id < len(pieces):
        raise FolderError(f"{file} has no piece for what is unknown.")
    return models.Unigram(pieces, unknown_id, byte_fallback=False)
