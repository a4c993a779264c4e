"""The texts that labeld/language-20 is trained on and measured on, and how they are varied."""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from common import read_rows

CODES = "ja nl ar pl de it pt tr es hi el ur bg en fr zh ru th sw vi"
LANGUAGES = CODES.split()
UNSPACED = {"ja", "zh", "th"}
FOREIGN_SCRIPT = {"ja", "zh", "th", "ar", "ur", "hi", "el", "ru", "bg"}
LATIN = [language for language in LANGUAGES if language not in FOREIGN_SCRIPT]
UNACCENTED = {"de", "el", "es", "fr", "it", "nl", "pl", "pt", "tr", "vi"}
UNLISTED = {"th", "sw"}
"""Languages of which wordfreq has no list: their words come from the sentences."""

Sentences = dict[str, list[str]]


@dataclass(frozen=True)
class Source:
    """A file of sentences, and the part of its hash range that is only ever measured; the next twentieth chooses."""

    file: str
    header: bool
    measured: float
    weight: float
    """How often a text is drawn from here, against the other sources."""


SOURCES = {
    "newspaper": Source("sentences.tsv", header=False, measured=0.10, weight=0.45),
    "everyday": Source("tatoeba_train.tsv", header=True, measured=0.20, weight=0.45),
    "treebank": Source("ud_sentences.tsv", header=True, measured=0.20, weight=0.10),
}
CHOOSING = 0.05


@dataclass(frozen=True)
class Parts:
    """The sentences of one source by language: to train on, to choose the epoch on, and only to measure."""

    training: Sentences = field(default_factory=lambda: defaultdict(list))
    choosing: Sentences = field(default_factory=lambda: defaultdict(list))
    measured: Sentences = field(default_factory=lambda: defaultdict(list))


def read_sources(data: Path) -> dict[str, Parts]:
    """The parts of every source, cut by a hash of the text; no text is twice in them, not in two sources either."""
    found, seen = {}, set()
    for name, source in SOURCES.items():
        parts = found[name] = Parts()
        for language, text in read_rows(data / source.file, header=source.header):
            plain = "".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))
            if plain in seen:
                continue
            seen.add(plain)
            place = int.from_bytes(hashlib.sha256(plain.encode()).digest()[:4], "big") / 2**32 - source.measured
            part = parts.measured if place < 0 else parts.choosing if place < CHOOSING else parts.training
            part[language].append(text)
    return found


class Words:
    """Words of every language by how usual they are, and of which languages each may be."""

    def __init__(self, sentences: Sentences) -> None:
        listed = {language: self._frequencies(language, sentences[language]) for language in LANGUAGES}
        total: Counter[str] = Counter()
        for frequencies in listed.values():
            total.update(frequencies)
        self.of = {language: list(frequencies) for language, frequencies in listed.items()}
        # By the root of the frequency: the usual words often, and the others often enough to be learned.
        self.weights = {
            language: list(accumulate(frequency**0.5 for frequency in frequencies.values()))
            for language, frequencies in listed.items()
        }
        self.shares = {
            word: [listed[language].get(word, 0.0) / total[word] for language in LANGUAGES]
            for word, languages in Counter(word for words in self.of.values() for word in words).items()
            if languages > 1
        }

    @staticmethod
    def _frequencies(language: str, sentences: list[str]) -> dict[str, float]:
        if language in UNLISTED:
            words = [] if language in UNSPACED else [word for text in sentences for word in re.findall(r"\w+", text)]
            counted = Counter(word.lower() for word in words)
            listed = {word: count / counted.total() for word, count in counted.items()}
        else:
            import wordfreq  # noqa: PLC0415  # only to train

            listed = wordfreq.get_frequency_dict(language)
        return {
            word: frequency
            for word, frequency in listed.items()
            if frequency > 1e-6
            and all(unicodedata.category(mark)[0] in "LM" or mark == "'" for mark in word)
            and (language not in FOREIGN_SCRIPT or not word.isascii())
        }

    def draw(self, language: str, count: int, rng: random.Random) -> list[str]:
        """As many words of the language, the usual ones more often."""
        return rng.choices(self.of[language], cum_weights=self.weights[language], k=count)

    def share(self, word: str, language: str) -> list[float]:
        """How the word's use is shared between the languages, for a word drawn for `language`."""
        return self.shares.get(word) or one_hot(language)


def one_hot(language: str) -> list[float]:
    """A one for this language, zeros for the others."""
    return even([language])


def even(languages: list[str]) -> list[float]:
    """Equal shares for these languages, zeros for the others."""
    return [(other in languages) / len(languages) for other in LANGUAGES]


def without_accents(text: str) -> str:
    """The text without the marks above and below its letters, as it is typed on a keyboard that lacks them."""
    plain = "".join(mark for mark in unicodedata.normalize("NFD", text) if not unicodedata.combining(mark))
    for letter, without in (("đ", "d"), ("Đ", "D"), ("ł", "l"), ("Ł", "L"), ("\u0131", "i"), ("ß", "ss")):
        plain = plain.replace(letter, without)
    return plain
