"""Print the figures of a model card from the finished folder, loaded as its users load it."""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.table import Table
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from common import console, probabilities, read_rows
from language_20 import FOREIGN_SCRIPT, LANGUAGES, UNSPACED, split
from sentiment_en import LABELS, natural

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Folder:
    """A finished folder, loaded through transformers in float32 as a user would load it."""

    def __init__(self, path: Path) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.labels: list[str] = [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    def scores(self, texts: Sequence[str]) -> torch.Tensor:
        """The probability of every label for every text."""
        rows = self.tokenizer(list(texts), truncation=True, max_length=512)["input_ids"]
        return probabilities(self.model, rows)

    def accuracy(self, texts: Sequence[str], labels: Sequence[str]) -> float:
        """The share of texts whose best label is the one given."""
        best = self.scores(texts).argmax(-1).tolist()
        right: int = sum(self.labels[index] == label for index, label in zip(best, labels, strict=True))
        return right / len(texts)


def sentiment(folder: Folder, data: Path, out_of_domain: Path | None) -> None:
    """Accuracy on the dev sentences, in both spellings, and on another domain."""
    dev = list(read_rows(data / "dev.tsv", header=True))
    sets = {"SST-2 dev": dev, "SST-2 dev, as people type": [[natural(text), label] for text, label in dev]}
    if out_of_domain:
        sets["out of domain"] = list(read_rows(out_of_domain, header=False))
    for name, rows in sets.items():
        accuracy = folder.accuracy([row[0] for row in rows], [LABELS[int(row[1])] for row in rows])
        console.print(f"{name}: {accuracy:.4f} of {len(rows)}")


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


def language(folder: Folder, data: Path) -> None:
    """Accuracy on the held-out tenth beside the published detectors, on single words, and a few answers."""
    _, _, measured = split(data / "sentences.tsv")
    published_file = data / "published_sentence_accuracy_20.tsv"
    header, *lines = read_rows(published_file, header=False) if published_file.exists() else [["lang"]]
    published = {line[0]: line[1:] for line in lines}
    table = Table("language", "n", "sentences", "words", *header[1:])
    rng = random.Random(0)
    right = words_right = total = words_total = 0.0
    for name in LANGUAGES:
        texts = measured[name]
        words = single_words(texts, name, rng)
        share = folder.accuracy(texts, [name] * len(texts))
        words_share = folder.accuracy(words, [name] * len(words))
        right, total = right + share * len(texts), total + len(texts)
        words_right, words_total = words_right + words_share * len(words), words_total + len(words)
        table.add_row(name, str(len(texts)), f"{share:.3f}", f"{words_share:.3f}", *published.get(name, []))
    console.print(table)
    console.print(f"held-out sentences: {right / total:.4f} of {total:.0f}; words: {words_right / words_total:.4f}")
    texts = [*(word.replace("_", " ") for word in WORDS.split()), *MIXED]
    for text, scores in zip(texts, folder.scores(texts).tolist(), strict=True):
        best = sorted(zip(scores, LANGUAGES, strict=True), reverse=True)[:3]
        console.print(f"{text}  ->  {', '.join(f'{label} {score:.2f}' for score, label in best)}", markup=False)


def main() -> None:
    """Read the command line and measure the model that it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="FOLDER", help="a folder that one of the two recipes wrote")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the data set it was trained on")
    parser.add_argument("--out-of-domain", type=Path, metavar="FILE", help="sentiment: more rows of text TAB 0 or 1")
    args = parser.parse_args()
    torch.set_num_threads(2)
    folder = Folder(args.model)
    if folder.labels == LABELS:
        sentiment(folder, args.data, args.out_of_domain)
    else:
        language(folder, args.data)


if __name__ == "__main__":
    main()
