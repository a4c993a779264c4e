"""The files of a model folder that decide its answers, by transformers' names. All others are ignored."""

CONFIG = "config.json"

SENTENCEPIECE = ("tokenizer.model", "sentencepiece.bpe.model", "spiece.model", "spm.model")
"""The names of a sentencepiece file, of which a tokenizer's class says one."""

TOKENIZER = (
    *("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt"),
    *SENTENCEPIECE,
)
"""The files from which tokenizers are made."""

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The file that identifies each form of weights, in transformers' order: the first one present is used."""

INDEX_SUFFIX = ".index.json"
"""Suffix of the files that name the shards of weights."""


def may_count(name: str) -> bool:
    """True when a file of this name can decide the answers; shards have any name with the suffix of weights."""
    return name in (CONFIG, *TOKENIZER, *WEIGHTS) or name.endswith((".safetensors", ".bin"))
