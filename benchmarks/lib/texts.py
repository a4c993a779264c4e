"""The texts that benchmarks use: real sentences, pairs of them, and a mix of lengths as a server sees it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer
from labeld.types import EncodedText, Parameters, Text

SHIPPED = Path(__file__).parent / "sentences.txt"
SEED = 20
LENGTHS = (4, 256)
"""Tokens of the shortest and of the longest text of the mix."""
MEDIAN, SPREAD = 18.5, 0.82
"""Of the log-normal distribution of lengths: its mean is about 26 tokens."""
STRETCH = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """A text and its token ids for the model that is measured."""

    text: str
    encoded: EncodedText

    @property
    def tokens(self) -> int:
        """Its tokens, special tokens included."""
        return len(self.encoded.ids)


def encoder_of(folder: Path) -> TextEncoder:
    """The tokenizer of a model folder; texts that are still to be cut may be longer than the model takes."""
    return TextEncoder(read_tokenizer(folder).tokenizer, 4096, 1 << 20)


def sentences(data: Path | None) -> list[str]:
    """Real sentences in an order that mixes languages: English film reviews and 20 languages, or those shipped."""
    if data is None:
        return SHIPPED.read_text(encoding="utf-8").splitlines()
    reviews = [line.rpartition("\t")[0] for line in _lines(data / "sst2/dev.tsv")[1:]]
    languages = [line.partition("\t")[2] for line in _lines(data / "langid/sentences.tsv")]
    mixed = random.Random(SEED)
    mixed.shuffle(languages)
    both = [text.strip() for text in (*reviews, *languages[: len(reviews)])]
    mixed.shuffle(both)
    return [text for text in both if text]


def english(data: Path | None) -> list[str]:
    """The sentences in English only, for speed: a vocabulary cuts other languages into many tokens."""
    if data is None:
        return [text for text in sentences(None) if text.isascii()]
    return [line.rpartition("\t")[0].strip() for line in _lines(data / "sst2/dev.tsv")[1:]]


def pairs(texts: Sequence[str], count: int) -> list[Text]:
    """`count` pairs of two different sentences."""
    mixed = random.Random(SEED)
    return [Text(*mixed.sample(texts, 2)) for _ in range(count)]


def mixed_lengths(texts: Sequence[str], encoder: TextEncoder, count: int) -> list[Measured]:
    """`count` texts made of real sentences, cut to lengths drawn from a log-normal distribution."""
    mixed = random.Random(SEED)
    drawn = np.random.default_rng(SEED).lognormal(np.log(MEDIAN), SPREAD, count)
    return [of_length(texts, encoder, int(length), mixed) for length in np.clip(drawn.round(), *LENGTHS)]


def evenly(texts: Sequence[Measured]) -> list[Measured]:
    """The texts in an order in which any STRETCH in a row have all lengths: a slow server's few are not easier."""
    mixed = random.Random(SEED)
    ranked = sorted(texts, key=lambda one: one.tokens)
    size = -(-len(ranked) // STRETCH)
    strata = [ranked[begin : begin + size] for begin in range(0, len(ranked), size)]
    for stratum in strata:
        mixed.shuffle(stratum)
    stretches = [[stratum[turn] for stratum in strata if turn < len(stratum)] for turn in range(size)]
    for stretch in stretches:
        mixed.shuffle(stretch)
    return [one for stretch in stretches for one in stretch]


def of_length(texts: Sequence[str], encoder: TextEncoder, tokens: int, chance: random.Random) -> Measured:
    """Real sentences one after another, cut where they reach about `tokens` tokens; exact but for rare cuts."""
    words: list[str] = []
    while len(words) < tokens:
        words += chance.choice(texts).split()
    found = _measured(" ".join(words), encoder)
    while found.tokens > tokens and len(words) > 1:
        words.pop()
        found = _measured(" ".join(words), encoder)
    while found.tokens < tokens:
        found = _measured(found.text + " .", encoder)
    return found


def _measured(text: str, encoder: TextEncoder) -> Measured:
    return Measured(text, encoder.encode([Text(text)], Parameters())[0])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
