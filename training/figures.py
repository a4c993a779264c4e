"""What the figures of all model cards share: a folder loaded by transformers, accuracies and their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from common import logits

Z = 1.96
"""Standard deviations of a 95 % interval."""


class Folder:
    """A finished folder, loaded through transformers in float32 as a user would load it."""

    def __init__(self, path: Path) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.labels: list[str] = [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]
        self.multi_label: bool = self.model.config.problem_type == "multi_label_classification"
        self._scores: dict[tuple[int, ...], torch.Tensor] = {}

    def scores(self, texts: Sequence[str]) -> torch.Tensor:
        """The probability of every label for every text, (texts, labels).

        Token ids are computed once, in however many tables they are: `it 's` and `it's` have the same.
        """
        rows = [tuple(ids) for ids in self.tokenizer(list(texts), truncation=True, max_length=512)["input_ids"]]
        if new := list({row: None for row in rows if row not in self._scores}):
            found = logits(self.model, new)
            self._scores |= zip(new, found.sigmoid() if self.multi_label else found.softmax(-1), strict=True)
        return torch.stack([self._scores[row] for row in rows])

    def best(self, texts: Sequence[str]) -> list[str]:
        """The label with the highest score of every text."""
        return [self.labels[index] for index in self.scores(texts).argmax(-1).tolist()]

    def right(self, texts: Sequence[str], labels: Sequence[str]) -> int:
        """How many texts have the label given as their best one."""
        return sum(best == label for best, label in zip(self.best(texts), labels, strict=True))


def interval(right: int, total: int) -> str:
    """The 95 % interval of a share (Wilson 1927), as "0.873 to 0.914"."""
    share, scale = right / total, 1 + Z**2 / total
    middle = (share + Z**2 / (2 * total)) / scale
    width = Z * (share * (1 - share) / total + Z**2 / (4 * total**2)) ** 0.5 / scale
    return f"{middle - width:.3f} to {middle + width:.3f}"


def row(cells: Iterable[object]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def accuracy_row(name: str, right: int, total: int) -> str:
    """A row of a table of accuracies."""
    return row([name, total, f"{right / total:.4f}", interval(right, total)])


ACCURACY_HEAD = ["| texts | n | accuracy | 95 % interval |", "|---|--:|--:|---|"]
