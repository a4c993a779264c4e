"""The files of a model folder that decide its answers, by the names of transformers. All others are left alone."""

CONFIG = "config.json"

TOKENIZER = (
    *("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt"),
    *("tokenizer.model", "sentencepiece.bpe.model", "spiece.model", "spm.model"),
)
"""Every file from which a tokenizer is made."""

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The forms of weights, each by the file that says so, in transformers' order: the first that is there counts."""

INDEX_SUFFIX = ".index.json"
"""Of the files that name the shards of weights."""


def may_count(name: str) -> bool:
    """Whether a file of this name can decide the answers: shards have any name with the suffix of weights."""
    return name in (CONFIG, *TOKENIZER, *WEIGHTS) or name.endswith((".safetensors", ".bin"))
