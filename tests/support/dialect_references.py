"""Answers of transformers, run here, with which those of dialects are compared."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


class Reference:
    """A model and its tokenizer in transformers."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()

    @cached_property
    def zero_shot(self) -> Any:
        """The pipeline of the task."""
        return pipeline("zero-shot-classification", model=self.model, tokenizer=self.tokenizer)

    def logits(self, text: str, pair: str | None = None, **how: Any) -> list[float]:
        """The logits of a text, or of a pair, which the tokenizer reads in some way."""
        with torch.no_grad():
            return self.model(**self.tokenizer(text, pair, return_tensors="pt", **how)).logits[0].tolist()

    def logits_of_list(self, texts: Sequence[str], pairs: Sequence[str]) -> list[list[float]]:
        """The logits of pairs that the tokenizer gets as lists, in which an empty text is one."""
        with torch.no_grad():
            return self.model(**self.tokenizer([*texts], [*pairs], padding=True, return_tensors="pt")).logits.tolist()

    def spans(self, text: str, pair: str, length: int, stride: int) -> list[list[int]]:
        """First and last character of each window of a pair's second text."""
        how: dict[str, Any] = {"truncation": "only_second", "max_length": length, "stride": stride}
        encoded = self.tokenizer(text, pair, return_overflowing_tokens=True, return_offsets_mapping=True, **how)
        found = []
        for number, offsets in enumerate(encoded["offset_mapping"]):
            of_pair = [one for one, part in zip(offsets, encoded.sequence_ids(number), strict=True) if part == 1]
            found.append([of_pair[0][0], of_pair[-1][1]])
        return found

    def windows(self, text: str, pair: str, length: int, stride: int, of: str = "only_second") -> torch.Tensor:
        """The logits [windows, labels] of a pair of which one text is read in windows."""
        how = {"truncation": of, "max_length": length, "stride": stride, "padding": True}
        encoded = self.tokenizer(text, pair, return_overflowing_tokens=True, return_tensors="pt", **how)
        encoded.pop("overflow_to_sample_mapping")
        with torch.no_grad():
            return self.model(**encoded).logits

    def sigmoids(self, query: str, documents: Sequence[str], **how: Any) -> list[float]:
        """The score of each document by the model's one label."""
        return [torch.tensor(self.logits(query, one, **how)[0]).sigmoid().item() for one in documents]

    def probabilities(self, text: str, pair: str | None = None, **how: Any) -> list[float]:
        """The softmax of the logits."""
        return torch.tensor(self.logits(text, pair, **how)).softmax(-1).tolist()
