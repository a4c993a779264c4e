"""The figures of the card of labeld/language-20."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from common import read_rows
from figures import ACCURACY_HEAD, Folder, accuracy_row, row
from language_texts import FOREIGN_SCRIPT, LANGUAGES, UNSPACED, Sentences, read_sources, without_accents
from language_wear import EDGES

OWN, OTHERS = (Path(__file__).with_name(name) for name in ("own_sentences.tsv", "other_languages.tsv"))
ISSUE = "¿Dónde está la biblioteca?|La película me pareció aburrida.|¿Qué hora es?|Onde fica a biblioteca?|Hola"
WORDS = (
    "hello bonjour danke привет здравей γειά こんにちは 你好 สวัสดี مرحبا شکریہ नमस्ते merhaba habari gracias obrigado "
    "grazie dziękuję bedankt cảm_ơn thanks OK Berlin 12345 :-)"
)
MIXED = [
    "I love pizza, aber heute esse ich lieber Suppe.",
    "Das Meeting ist at three o'clock in the main building.",
    "Je ne sais pas, maybe we should ask them tomorrow.",
    "Он сказал hello и ушёл домой.",
    "これは very important なことです。",
    "El tren sale mañana / The train leaves tomorrow",
    "Mambo vipi? I am fine, asante sana.",
]


def single_words(sentences: list[str], language: str, rng: random.Random) -> list[str]:
    """One word of every sentence, of at least four letters; four characters where there are no spaces."""
    words = []
    for text in sentences:
        runs = re.findall(r"[^\W\d_]{4,}" if language not in {"hi", "th"} else r"\S{4,}", text)
        runs = [run for run in runs if language not in FOREIGN_SCRIPT or not run.isascii()]
        if runs:
            word = rng.choice(runs)
            words.append(word[:4] if language in UNSPACED else word)
    return words


def plain(text: str) -> str:
    """The text in lower case, without accents, and without the marks at its ends."""
    return without_accents(text.lower()).strip(EDGES)


def start(text: str) -> str:
    """The first three words of the text, or its first six characters where it has no spaces."""
    words = text.split()
    return " ".join(words[:3]) if len(words) > 1 else text[:6]


def changed(sentences: Sentences, change: Callable[[str], str]) -> Sentences:
    """The sentences after a change."""
    return {language: [change(text) for text in texts] for language, texts in sentences.items()}


def lines(folder: Folder, data: Path) -> Iterator[str]:
    """Accuracies on all that is held out, by language beside published detectors, and some answers."""
    parts = read_sources(data)
    rng = random.Random(0)
    newspaper, everyday = parts["newspaper"].measured, parts["everyday"].measured
    own: Sentences = {language: [] for language in LANGUAGES}
    for language, text in read_rows(OWN, header=False):
        own[language].append(text)
    sets = {
        "newspaper sentences": newspaper,
        "one word of each of these": {name: single_words(newspaper[name], name, rng) for name in LANGUAGES},
        "everyday sentences": everyday,
        "these in lower case, without accents and outer marks": changed(everyday, plain),
        "their first three words": changed(everyday, start),
        "sentences of treebanks (es, fr, it, pt)": parts["treebank"].measured,
        "sentences written for this card": own,
        "these in lower case, without accents and outer marks ": changed(own, plain),
    }
    right = {
        name: {one: folder.right(texts, [one] * len(texts)) for one, texts in sentences.items() if texts}
        for name, sentences in sets.items()
    }
    yield from ACCURACY_HEAD
    for name, by_language in right.items():
        yield accuracy_row(name.strip(), sum(by_language.values()), sum(map(len, sets[name].values())))
    yield ""
    yield from _by_language(sets, right, data / "published_sentence_accuracy_20.tsv")
    for texts in (ISSUE.split("|"), [word.replace("_", " ") for word in WORDS.split()], MIXED):
        yield ""
        yield from ["| text | answer |", "|---|---|"]
        for text, scores in zip(texts, folder.scores(texts).tolist(), strict=True):
            best = sorted(zip(scores, LANGUAGES, strict=True), reverse=True)[:3]
            yield row([text, ", ".join(f"{label} {score:.2f}" for score, label in best)])
    yield ""
    yield from _others(folder)


def _by_language(sets: dict[str, Sentences], right: dict[str, dict[str, int]], published: Path) -> Iterator[str]:
    """Accuracies of each language, and the percentages that lingua-py publishes for sentences."""
    header, *rows = read_rows(published, header=False)
    theirs = {language: figures for language, *figures in rows}
    shown = list(sets)[:3]
    yield row(["language", "newspaper", "words", "everyday", *header[1:]])
    yield "|---" + "|--:" * (len(header) + 2) + "|"
    for language in LANGUAGES:
        ours = [f"{right[name][language] / len(sets[name][language]):.3f}" for name in shown]
        yield row([language, *ours, *theirs[language]])


def _others(folder: Folder) -> Iterator[str]:
    """Which of the twenty the sentences of other languages are taken for, and with which mean score."""
    texts: dict[str, list[str]] = {}
    for language, text in read_rows(OTHERS, header=False):
        texts.setdefault(language, []).append(text)
    yield from ["| language | taken for | mean score |", "|---|---|--:|"]
    for language, sentences in texts.items():
        counted = Counter(folder.best(sentences)).most_common()
        best = folder.scores(sentences).max(-1).values
        yield row([language, ", ".join(f"{label} {count}" for label, count in counted), f"{best.mean():.2f}"])
