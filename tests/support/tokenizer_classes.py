"""Small tokenizer.json files for each class of transformers, and the switches that some classes have and others not."""

from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers

from tests.support.tokenizer_folders import NASTY, write

SPECIAL = [
    *("<unk>", "<s>", "</s>", "<pad>", "<mask>", "<sep>", "<cls>", "<eop>", "<eod>", "[UNK]", "[CLS]", "[SEP]"),
    *("[PAD]", "[MASK]", "<bos>", "<eos>", "<|endoftext|>", "<|padding|>", "<UNK>", "<BOS_TOKEN>", "<PAD>", "<CLS>"),
    *("<|END_OF_TURN_TOKEN|>", "<SEP>", "<MASK_TOKEN>", "<extra_id_0>", "en_XX", "ro_RO"),
]

WORDS = ["hello", "world", "the", "lower", "not"]

TEXTS = [
    *NASTY[:-2],
    "Hello  World, the LOWER\tthe\nworld!",
    "``quoted'' naïve été ÀÉ",
    " ".join(SPECIAL),
    "the<mask>the [MASK]the <s>the</s> NEWTOKEN theNEWTOKEN",
    "1234567 12,345",
    "hello",
]


@cache
def _characters() -> list[str]:
    found = {one for text in TEXTS for one in text + text.lower()} | set(pre_tokenizers.ByteLevel.alphabet())
    return sorted(found - set("ş日ท"))  # some are unknown


@cache
def _words() -> dict[str, int]:
    names = [*SPECIAL, *_characters(), *(f"##{one}" for one in _characters()), *WORDS, "##the", "##world"]
    return {name: index for index, name in enumerate(dict.fromkeys(names))}


@cache
def _bpe() -> tuple[dict[str, int], list[list[str]]]:
    space = "\u0120"
    ends = [f"{one}</w>" for one in _characters()]
    names = [*SPECIAL, *_characters(), *ends, *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    merges = [
        ["t", "h"],
        ["th", "e"],
        [space, "the"],
        ["▁", "the"],
        ["l", "o"],
        ["1", "2"],
        ["!", "?"],
        ["th", "e</w>"],
    ]
    merges.append(["o", "w"])
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys([*names, *("".join(p) for p in merges)]))}
    return vocabulary, merges


@cache
def _pieces() -> list[list[Any]]:
    names = [*SPECIAL, "▁", *_characters(), *WORDS, *(f"▁{word}" for word in WORDS)]
    return [
        [name, 0.0 if name in SPECIAL else -2.0 - index / 1000 - 5 * (len(name) == 1)]
        for index, name in enumerate(dict.fromkeys(names))
    ]


def content(kind: str) -> dict[str, Any]:
    """A tokenizer.json with a vocabulary of this kind, whose other parts are those of no class."""
    if kind == "WordPiece":
        model: dict[str, Any] = {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": _words(),
        }
    elif kind == "BPE":
        vocabulary, merges = _bpe()
        model = {"type": "BPE", "unk_token": None, "vocab": vocabulary, "merges": merges}
    else:
        model = {"type": "Unigram", "unk_id": 0, "vocab": _pieces(), "byte_fallback": False}
    mask = {"single_word": False, "lstrip": False, "rstrip": True, "normalized": False, "special": True}
    last = len(model["vocab"])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": SPECIAL.index("[MASK]"), "content": "[MASK]", **mask},
            {"id": last, "content": "NEWTOKEN", **mask, "special": False, "normalized": True},
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": model,
    }


POST_PROCESSOR = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eop>", "type_id": 1}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<eop>": {"id": "<eop>", "ids": [SPECIAL.index("<eop>")], "tokens": ["<eop>"]}},
}
PADDING = {
    "strategy": "BatchLongest",
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "hello",
}
TRUNCATION = {"direction": "Left", "max_length": 7, "strategy": "LongestFirst", "stride": 2}
TOKEN = {"__type": "AddedToken", "single_word": True, "lstrip": True, "rstrip": False, "normalized": False}

SWITCHES: dict[str, dict[str, Any]] = {
    "none": {},
    "lower case": {"do_lower_case": True},
    "no lower case": {"do_lower_case": False},
    "accents": {"strip_accents": True, "do_lower_case": False},
    "no accents": {"strip_accents": False},
    "accents kept": {"keep_accents": True},
    "accents not kept": {"keep_accents": False},
    "CJK": {"tokenize_chinese_chars": False},
    "text not cleaned": {"clean_text": False},
    "prefix": {"add_prefix_space": True},
    "no prefix": {"add_prefix_space": False},
    "legacy": {"legacy": True},
    "punctuation": {"split_by_punct": True},
    "offsets": {"trim_offsets": False},
    "unknown": {"unk_id": 2},
    "extra ids": {"extra_ids": 3},
    "language": {"src_lang": "ro_RO"},
    "special tokens are split": {"split_special_tokens": True},
    "bos and eos": {"add_bos_token": True, "add_eos_token": True},
    "no extra": {"additional_special_tokens": None},
    "extra": {"extra_special_tokens": ["hello"]},
    "additional": {"additional_special_tokens": ["hello", "world"]},
    "extra by name": {"extra_special_tokens": {"image_token": "hello"}},
    "own role": {"image_token": "hello"},
    "mask": {"mask_token": "<mask>"},
    "mask in brackets": {"mask_token": "[MASK]"},
    "mask with rules": {"mask_token": {**TOKEN, "content": "<mask>"}},
    "roles": {"cls_token": "<eod>", "sep_token": "<eop>", "bos_token": "<eod>", "eos_token": "<eop>"},
    "no pad": {"pad_token": None},
    "added": {
        "added_tokens_decoder": {"3": {key: TOKEN[key] for key in TOKEN if key != "__type"} | {"content": "the"}}
    },
    "types": {"model_input_names": ["input_ids", "token_type_ids"]},
}
PARTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "post-processor": {"post_processor": POST_PROCESSOR, "padding": PADDING},
}

WITH_ALL_PARTS = ("none", "bos and eos", "special tokens are split", "mask", "roles", "extra", "no pad")
"""Switches that are tried with each of `PARTS`."""


def folder_of(folder: Path, kind: str, config: dict[str, Any], parts: dict[str, Any]) -> Path:
    """A folder with a tokenizer.json of this kind and a tokenizer_config.json."""
    changed = {**content(kind), **parts}
    return write(folder, tokenizer_json=changed, tokenizer_config_json=config, config_json={"model_type": "llama"})


def bare_folder_of(folder: Path, kind: str, config: dict[str, Any]) -> Path:
    """A folder with vocab.txt, or vocab.json and merges.txt, of this kind."""
    files: dict[str, Any]
    if kind == "WordPiece":
        files = {"vocab_txt": "\n".join(_words()).encode()}
    else:
        vocabulary, merges = _bpe()
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        files = {"vocab_json": vocabulary, "merges_txt": "\n".join(lines).encode()}
    return write(folder, tokenizer_config_json=config, config_json={"model_type": "llama"}, **files)
