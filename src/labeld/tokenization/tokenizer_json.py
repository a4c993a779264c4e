"""tokenizer.json -> tokenizer, as transformers 5 reads it.

For a few classes transformers takes only the vocabulary (merges, character map) of the file and builds the rest anew
from tokenizer_config.json; for example `do_lower_case` there decides, not the file's normalizer. Of the other classes
the file is taken as it is.
"""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors

from labeld.checkpoint.config import read_json
from labeld.errors import FolderError
from labeld.tokenization import byte_level_bpe, wordpiece
from labeld.tokenization.classes import BERT_CLASSES, ROBERTA_CLASSES
from labeld.tokenization.special_tokens import FAIRSEQ_DEFAULTS, SpecialTokens, Token, read_special_tokens
from labeld.tokenization.unigram import (
    CAMEMBERT_DEFAULTS,
    DEBERTA_DEFAULTS,
    Pieces,
    build_camembert,
    build_deberta_v2,
    build_xlm_roberta,
)

FILE = "tokenizer.json"

UnigramBuilder = Callable[[Pieces, bytes | None, SpecialTokens, Mapping[str, Any], str], Tokenizer]

UNIGRAM_CLASSES: dict[str, tuple[UnigramBuilder, Mapping[str, Token]]] = {
    "XLMRobertaTokenizer": (build_xlm_roberta, FAIRSEQ_DEFAULTS),
    "CamembertTokenizer": (build_camembert, CAMEMBERT_DEFAULTS),
    "DebertaV2Tokenizer": (build_deberta_v2, DEBERTA_DEFAULTS),
}


def read_tokenizer_json(folder: Path, config: Mapping[str, Any], class_name: str) -> Tokenizer:
    """The tokenizer of a folder with tokenizer.json; raises FolderError naming the file that is broken."""
    if class_name in BERT_CLASSES | ROBERTA_CLASSES | UNIGRAM_CLASSES.keys():
        content = read_json(folder / FILE)
        rebuilt = _rebuilt(folder, content, config, class_name)
        if rebuilt is not None:
            return rebuilt
    return _as_it_is(folder, config)


def _as_it_is(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """With the tokens that other files add (transformers' TokenizersBackend)."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / FILE))
    except Exception:  # noqa: BLE001  # the library raises bare Exception for every broken file
        raise _broken() from None
    read_special_tokens(folder, config, {}).add_to(tokenizer)
    tokenizer.encode_special_tokens = bool(config.get("split_special_tokens", False))
    if tokenizer.post_processor is None:
        tokenizer.post_processor = processors.TemplateProcessing("$A:0", "$A:0 $B:1", [])
    return tokenizer


def _rebuilt(folder: Path, content: Mapping[str, Any], config: Mapping[str, Any], class_name: str) -> Tokenizer | None:
    """None when the file's model is not of the kind that the class has: then the file knows better than the class."""
    model = content.get("model")
    if not isinstance(model, dict):
        raise _broken()
    vocabulary, merges = model.get("vocab"), model.get("merges")
    added = content.get("added_tokens") or []
    if class_name in BERT_CLASSES and isinstance(vocabulary, dict) and merges is None:
        tokens = read_special_tokens(folder, config, wordpiece.DEFAULTS, added)
        return wordpiece.build_word_piece(_whole_numbers(vocabulary), tokens, config, FILE)
    if class_name in ROBERTA_CLASSES and isinstance(vocabulary, dict) and isinstance(merges, list):
        tokens = read_special_tokens(folder, config, FAIRSEQ_DEFAULTS, added)
        return byte_level_bpe.build_byte_bpe(_whole_numbers(vocabulary), _merges(merges), tokens, config, FILE)
    if class_name in UNIGRAM_CLASSES and isinstance(vocabulary, list):
        build, defaults = UNIGRAM_CLASSES[class_name]
        tokens = read_special_tokens(folder, config, defaults, added)
        return build(_pieces(vocabulary), _character_map(content.get("normalizer")), tokens, config, FILE)
    return None


def _whole_numbers(vocabulary: dict[str, Any]) -> dict[str, int]:
    if any(type(number) is not int or number < 0 for number in vocabulary.values()):
        raise _broken()
    return vocabulary


def _merges(merges: list[Any]) -> byte_level_bpe.Merges:
    """In either form that the file has had: "a b" or ["a", "b"]."""
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else merge for merge in merges]
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise _broken()
    return [(str(left), str(right)) for left, right in pairs]


def _pieces(vocabulary: list[Any]) -> Pieces:
    try:
        return [(str(piece), float(score)) for piece, score in vocabulary]
    except (TypeError, ValueError):
        raise _broken() from None


def _character_map(normalizer: Any) -> bytes | None:
    """The first precompiled character map of the file's normalizer."""
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    for step in steps:
        if isinstance(step, dict) and step.get("type") == "Precompiled" and step.get("precompiled_charsmap"):
            try:
                return base64.b64decode(step["precompiled_charsmap"])
            except (TypeError, ValueError):
                raise _broken() from None
    return None


def _broken() -> FolderError:
    return FolderError(f"{FILE} is not a tokenizer that can be read.")
