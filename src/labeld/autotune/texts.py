"""The texts on which precisions are tried: the operator's, or those that come with labeld."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from labeld.errors import SettingsError
from labeld.types import Text

SHIPPED = Path(__file__).parent / "data"
LEAST = 100
"""Texts of an operator's file, at least: with fewer, 99 % of them cannot be told from all."""
LARGEST = 10_000_000
"""Bytes of an operator's file, at most."""


def read_evaluation_texts(path: Path) -> tuple[Text, ...]:
    """The operator's texts: one per line, a tab between the two of a pair.

    Raises SettingsError saying what is wrong with the file.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise SettingsError(
                f"The file of the setting evaluation_texts has more than {LARGEST} bytes: take fewer texts."
            )
        texts = _texts(path.read_text(encoding="utf-8"))
    except OSError:
        raise SettingsError("The file of the setting evaluation_texts cannot be read.") from None
    except UnicodeDecodeError:
        raise SettingsError("The file of the setting evaluation_texts is not UTF-8: save it as UTF-8.") from None
    if len(texts) < LEAST:
        raise SettingsError(
            f"The file of the setting evaluation_texts has {len(texts)} texts, but must have at least {LEAST}."
        )
    return texts


def shipped_evaluation_texts(labels: int) -> tuple[Text, ...]:
    """The texts that come with labeld; pairs for a model of one label, which is a reranker."""
    return _texts((SHIPPED / ("pairs.tsv" if labels == 1 else "texts.txt")).read_text(encoding="utf-8"))


def digest(texts: Iterable[Text]) -> str:
    """16 hex digits that change when any text does."""
    return hashlib.sha256(repr([tuple(text) for text in texts]).encode()).hexdigest()[:16]


def _texts(content: str) -> tuple[Text, ...]:
    """One text per line; a second tab belongs to the second text, and a line without letters is none."""
    lines = (line.partition("\t") for line in content.split("\n") if line.strip())
    return tuple(
        Text(first, pair.rstrip("\r") or None) if tab else Text(first.rstrip("\r")) for first, tab, pair in lines
    )
