"""From texts to padded rows and from logits to scores, for the peers that run an exported graph."""

import numpy as np
from tokenizers import Tokenizer


def open_tokenizer(folder):
    """The tokenizer of exported files; a batch is padded by `padded`, and only to its longest text."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    return tokenizer


def padded(encodings, pad):
    """The inputs of a batch, padded to its longest text."""
    longest = max(len(one.ids) for one in encodings)
    rows = {
        "input_ids": np.full((len(encodings), longest), pad, np.int64),
        "attention_mask": np.zeros((len(encodings), longest), np.int64),
        "token_type_ids": np.zeros((len(encodings), longest), np.int64),
    }
    for row, one in enumerate(encodings):
        rows["input_ids"][row, : len(one.ids)] = one.ids
        rows["attention_mask"][row, : len(one.ids)] = 1
        rows["token_type_ids"][row, : len(one.ids)] = one.type_ids
    return rows


def probabilities(logits):
    """The scores of transformers: sigmoid of one label, softmax of several."""
    if logits.shape[1] == 1:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
