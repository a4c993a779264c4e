"""Evaluation texts, on which precisions are tried: the operator's, or those that come with labeld."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from labeld.autotune.label_index import text_of
from labeld.errors import SettingsError
from labeld.types import Text

SHIPPED = Path(__file__).parent / "data"
"""Folder of the texts that come with labeld."""

MIN_TEXTS = 100
"""Texts in an operator's file, at least: with fewer, an agreement of 99 % is the same as one of 100 %."""

MAX_BYTES = 10_000_000
"""Bytes of an operator's file, at most."""


def read_evaluation_texts(path: Path) -> tuple[Text, ...]:
    """The texts of an operator's file: one per line, with a tab between the two of a pair.

    Raises SettingsError when the file cannot be read, is no UTF-8, or has too few or too many texts.
    """
    return _enough(_texts(_content(path)))


def _content(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(
                f"The file of the setting evaluation_texts has more than {MAX_BYTES} bytes: take fewer texts."
            )
        return path.read_text(encoding="utf-8")
    except OSError:
        raise SettingsError("The file of the setting evaluation_texts cannot be read.") from None
    except UnicodeDecodeError:
        raise SettingsError("The file of the setting evaluation_texts is not UTF-8: save it as UTF-8.") from None


def _enough(texts: tuple[Text, ...]) -> tuple[Text, ...]:
    if len(texts) < MIN_TEXTS:
        raise SettingsError(
            f"The file of the setting evaluation_texts has {len(texts)} texts, but must have at least {MIN_TEXTS}."
        )
    return texts


class LabelledTexts(NamedTuple):
    """Evaluation texts with their labels."""

    texts: tuple[Text, ...]
    labels: tuple[tuple[str, ...], ...]
    """Of each text."""


def read_labelled_texts(path: Path) -> LabelledTexts:
    """The texts of an operator's jsonl file, each line an object with text, label or a list of them, and perhaps pair.

    Raises SettingsError as `read_evaluation_texts`, and for a line that is no such object.
    """
    texts, labels = [], []
    for number, line in enumerate(_content(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        get: Any = row.get if isinstance(row, dict) else {}.get
        text, pair, label = get("text"), get("pair"), get("label")
        its_labels = label if isinstance(label, list) else [label]
        fits = isinstance(text, str) and isinstance(pair, str | None)
        if not fits or not all(isinstance(one, str | int | float) for one in its_labels):
            raise SettingsError(
                f"Line {number} of the file of the setting evaluation_texts is not like "
                '{"text": "…", "label": "…"}, with "pair" and a list of labels if need be.'
            )
        texts.append(Text(text, pair or None))
        labels.append(tuple(text_of(one) for one in its_labels))
    return LabelledTexts(_enough(tuple(texts)), tuple(labels))


def shipped_evaluation_texts(labels: int) -> tuple[Text, ...]:
    """The texts that come with labeld; pairs for a model with one label, which is a reranker."""
    return _texts((SHIPPED / ("pairs.tsv" if labels == 1 else "texts.txt")).read_text(encoding="utf-8"))


def digest(texts: Iterable[Text]) -> str:
    """16 hex digits that change when any text does."""
    return hashlib.sha256(repr([tuple(text) for text in texts]).encode()).hexdigest()[:16]


def _texts(content: str) -> tuple[Text, ...]:
    """One text per line; a second tab is part of the second text, and blank lines are skipped."""
    lines = (line.partition("\t") for line in content.split("\n") if line.strip())
    return tuple(
        Text(first, pair.rstrip("\r") or None) if tab else Text(first.rstrip("\r")) for first, tab, pair in lines
    )
