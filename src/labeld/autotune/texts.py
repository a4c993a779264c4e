"""Evaluation texts, on which precisions are tried: the operator's, or those that come with labeld."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

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
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(
                f"The file of the setting evaluation_texts has more than {MAX_BYTES} bytes: take fewer texts."
            )
        texts = _texts(path.read_text(encoding="utf-8"))
    except OSError:
        raise SettingsError("The file of the setting evaluation_texts cannot be read.") from None
    except UnicodeDecodeError:
        raise SettingsError("The file of the setting evaluation_texts is not UTF-8: save it as UTF-8.") from None
    if len(texts) < MIN_TEXTS:
        raise SettingsError(
            f"The file of the setting evaluation_texts has {len(texts)} texts, but must have at least {MIN_TEXTS}."
        )
    return texts


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
