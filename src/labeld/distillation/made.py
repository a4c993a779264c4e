"""Texts made of others: a teacher answers them as it answers any, and a student learns from what changes its answer."""

import random
import sys
from collections.abc import Sequence

from labeld.types import Text

JOINED = 0.3
"""Share of made texts that are two others, one after the other."""
LEFT_OUT, REPLACED = 0.1, 0.1
"""Share of a text's words that are left out, and replaced by any word of all texts (as in Jiao et al. 2020)."""


def made_of(texts: Sequence[Text], count: int, seed: int) -> list[Text]:
    """`count` texts that differ from those of `texts`, by words and by pairs of texts; equal seeds make equal ones.

    Words are what white space divides, and characters where a text has none, as in Chinese.
    """
    rng = random.Random(seed)  # noqa: S311  # not for secrets
    make = _Maker(texts, rng)
    return [make.one(rng.choice(texts)) for _ in range(count)]


class _Maker:
    def __init__(self, texts: Sequence[Text], rng: random.Random) -> None:
        self._texts, self._rng = texts, rng
        self._words = [[*map(sys.intern, _words(text.text)[0])] for text in texts]

    def one(self, text: Text) -> Text:
        first = text.text
        if text.pair is None and self._rng.random() < JOINED:
            first = f"{first} {self._rng.choice(self._texts).text}"
        return Text(self._changed(first), None if text.pair is None else self._changed(text.pair))

    def _changed(self, text: str) -> str:
        words, space = _words(text)
        changed = []
        for word in words:
            chance = self._rng.random()
            if chance >= LEFT_OUT:
                changed.append(self._any_word() if chance < LEFT_OUT + REPLACED else word)
        return space.join(changed) or text

    def _any_word(self) -> str:
        return self._rng.choice(self._rng.choice(self._words) or [""])


def _words(text: str) -> tuple[list[str], str]:
    """The words of a text, and what stands between them."""
    words = text.split()
    return (words, " ") if len(words) > 1 else ([*text.strip()], "")
