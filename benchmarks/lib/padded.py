"""Texts as a tuned script gives them to a model: tokenised at once, sorted by length, padded batch by batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks.lib.texts import Measured


def padded_batches(
    tokenizer: Tokenizer, texts: Sequence[Measured], size: int, pad: int = 0
) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches of texts of similar lengths, each array int64 [texts, tokens of the longest], by transformers' names."""
    ordered = sorted(tokenizer.encode_batch_fast([one.text for one in texts]), key=len)
    for at in range(0, len(ordered), size):
        batch = ordered[at : at + size]
        ids = np.full((len(batch), len(batch[-1])), pad, np.int64)
        for row, one in zip(ids, batch, strict=True):
            row[: len(one)] = one.ids
        mask = (np.arange(ids.shape[1]) < np.array([[len(one)] for one in batch])).astype(np.int64)
        yield {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
