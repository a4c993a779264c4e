"""The texts of labeld/sentiment-en: SST-2 as people type it, what is held out of it, and texts made of its phrases."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict

Phrase = tuple[str, int]
"""A text and its label, 1 for positive."""

# The treebank's own spelling of ordinary text, undone so that the model also learns what people type.
SPELLINGS = [(" n't", "n't"), ("`` ", '"'), (" ''", '"'), ("` ", "'"), (" '", "'"), ("-lrb- ", "("), (" -rrb-", ")")]
SPELLINGS += [(f" {mark}", mark) for mark in ",.!?;:"]

LEFT_OUT, REPLACED, ADDED = 0.08, 0.12, 0.04
"""Share of a text's words that are left out, and replaced by any other, and after which one of `TURNS` is added."""
TURNS = ("not", "never", "hardly", "no", "without", "too", "very", "less", "more", "n't", "only", "almost")
JOINS = (", but", " and", ", yet", ";", ".", ", although", " because", ", despite", ",", " --")
JOINED, UNWORN = 0.3, 0.2
"""Share of made texts that are two phrases joined, and of those in which no word is changed."""


def natural(text: str) -> str:
    """The phrase as a person would type it: "it 's fun , is n't it ?" becomes "it's fun, isn't it?"."""
    for treebank, plain in SPELLINGS:
        text = text.replace(treebank, plain)
    return text


def either(text: str, rng: random.Random) -> str:
    """The phrase in one of both spellings."""
    return natural(text) if rng.random() < 0.5 else text


def split_slice(phrases: list[Phrase], share: float) -> tuple[list[Phrase], list[Phrase]]:
    """Training phrases, and whole sentences held out to choose on, with no text in common.

    Train is full of phrases cut from the same sentence. A phrase that no longer phrase contains is a root; a hash of
    it decides whether it is held out, and then every phrase that it contains leaves the training part with it.
    """
    counts = Counter(word for text, _ in phrases for word in set(text.split()))
    by_word: dict[str, list[str]] = defaultdict(list)
    held_by_word: dict[str, list[str]] = defaultdict(list)
    kept, held = [], []
    for text, label in sorted(set(phrases), key=lambda phrase: (-len(phrase[0]), phrase)):
        spaced = f" {text} "
        rarest = min(text.split(), key=counts.__getitem__)
        if not any(spaced in root for root in by_word[rarest]):
            digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            out = digest < share * 2**32
            for word in set(text.split()):
                by_word[word].append(spaced)
                if out:
                    held_by_word[word].append(spaced)
            if out and len(text.split()) >= 8:
                held.append((text, label))
        if not any(spaced in root for root in held_by_word[rarest]):
            kept.append((text, label))
    return kept, held


def made_texts(phrases: list[Phrase], count: int, rng: random.Random) -> list[str]:
    """Texts nobody wrote, for a teacher to label: phrases with words changed, and two of them joined."""
    words = [word for text, _ in phrases for word in text.split()]
    long = [text for text, _ in phrases if len(text.split()) >= 6]
    parts = [text for text, _ in phrases if 4 <= len(text.split()) <= 14]
    made = []
    for _ in range(count):
        joined = rng.random() < JOINED
        text = f"{rng.choice(parts)}{rng.choice(JOINS)} {rng.choice(parts)}" if joined else rng.choice(long)
        made.append(text if rng.random() < UNWORN else _worn(text, words, rng))
    return made


def _worn(text: str, words: list[str], rng: random.Random) -> str:
    changed = []
    for word in text.split():
        chance = rng.random()
        if chance < LEFT_OUT:
            continue
        changed.append(rng.choice(words) if chance < LEFT_OUT + REPLACED else word)
        if rng.random() < ADDED:
            changed.append(rng.choice(TURNS))
    return " ".join(changed) or text
