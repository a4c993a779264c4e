"""The figures of the card of labeld/sentiment-en."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from common import read_rows
from figures import ACCURACY_HEAD, Folder, accuracy_row
from sentiment_en import LABELS
from sentiment_texts import natural

OUT_OF_DOMAIN = "out_of_domain.tsv"
"""Rows of text TAB 0 or 1, measured if the file lies beside dev.tsv."""


def lines(folder: Folder, data: Path) -> Iterator[str]:
    """Accuracy on the dev sentences, in both spellings, and on another domain."""
    dev = list(read_rows(data / "dev.tsv", header=True))
    sets = {
        "SST-2 dev, in the treebank's spelling (`it 's n't`)": dev,
        "SST-2 dev, spelled as people type (`it isn't`)": [[natural(text), label] for text, label in dev],
    }
    if (data / OUT_OF_DOMAIN).exists():
        sets["out of domain: reviews of phones and restaurants"] = list(read_rows(data / OUT_OF_DOMAIN, header=False))
    yield from ACCURACY_HEAD
    for name, rows in sets.items():
        right = folder.right([text for text, _ in rows], [LABELS[int(label)] for _, label in rows])
        yield accuracy_row(name, right, len(rows))
