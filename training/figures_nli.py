"""The figures of the card of labeld/nli-en."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from common import logits, read_rows
from figures import ACCURACY_HEAD, Folder, accuracy_row, row
from minilm import Paired
from nli_en import LABELS, read_pairs
from sentiment_en import natural

TEMPLATE = "This example is {}."
"""That of transformers' pipeline, and of labeld."""
TOPICS = ["travel", "cooking", "sports", "politics", "technology"]
EXAMPLES = [
    "We spent two weeks hiking along the coast of Portugal.",
    "Simmer the onions in butter until they are golden.",
    "The striker scored twice in the last ten minutes.",
    "The senate voted against the new tax on Tuesday.",
    "The update makes the phone's battery last a day longer.",
]
PAIRS = [
    ("A soccer game with multiple males playing.", "Some men are playing a sport."),
    ("A man inspects the uniform of a figure.", "The man is sleeping."),
    ("An older and a younger man are smiling.", "Two men laugh at the cats on the floor."),
    ("The new rights are nice enough.", "Everyone really likes the newest benefits."),
]


def entailment(folder: Folder, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """The logits of LABELS for every premise and hypothesis, (pairs, 3)."""
    rows = folder.tokenizer([one for one, _ in pairs], [other for _, other in pairs], truncation=True, max_length=512)
    found = logits(Paired(folder.model, folder.tokenizer.sep_token_id), rows["input_ids"])
    return found[:, [folder.labels.index(label) for label in LABELS]]


def zero_shot(folder: Folder, texts: Sequence[str], labels: Sequence[str]) -> torch.Tensor:
    """The scores of `labels` for every text, which add up to 1, as transformers' pipeline computes them."""
    pairs = [(text, TEMPLATE.format(label)) for text in texts for label in labels]
    return entailment(folder, pairs)[:, 0].reshape(len(texts), len(labels)).softmax(-1)


def lines(folder: Folder, data: Path) -> Iterator[str]:
    """Accuracy on pairs of several genres, of each label, zero-shot on film sentences, and a few answers."""
    pairs = read_pairs(data / "taxinli_mnli_dev.tsv")
    best = [LABELS[index] for index in entailment(folder, [pair[:2] for pair in pairs]).argmax(-1).tolist()]
    answers = list(zip(best, (label for _, _, label in pairs), strict=True))
    yield from ACCURACY_HEAD
    yield accuracy_row("MultiNLI dev, the part in TaxiNLI", sum(one == other for one, other in answers), len(answers))
    for label in LABELS:
        own = [one == other for one, other in answers if other == label]
        yield accuracy_row(f"of these, {label}", sum(own), len(own))
    sentences = list(read_rows(data.parent / "sst2" / "dev.tsv", header=True))
    names = ["negative", "positive"]
    found = zero_shot(folder, [natural(text) for text, _ in sentences], names).argmax(-1).tolist()
    right = sum(index == int(label) for index, (_, label) in zip(found, sentences, strict=True))
    yield accuracy_row("SST-2 dev, zero-shot with `negative` and `positive`", right, len(sentences))
    yield ""
    yield from ["| premise | hypothesis | answer |", "|---|---|---|"]
    for (premise, hypothesis), probabilities in zip(PAIRS, entailment(folder, PAIRS).softmax(-1), strict=True):
        index = int(probabilities.argmax())
        yield row([premise, hypothesis, f"{LABELS[index]} {float(probabilities[index]):.2f}"])
    yield ""
    yield from [f"| text | of {', '.join(TOPICS)} |", "|---|---|"]
    for text, probabilities in zip(EXAMPLES, zero_shot(folder, EXAMPLES, TOPICS).tolist(), strict=True):
        top = sorted(zip(probabilities, TOPICS, strict=True), reverse=True)[:2]
        yield row([text, ", ".join(f"{label} {score:.2f}" for score, label in top)])
