"""Known answers: transformers' own for a few texts, and whether a reply is one of them."""

import json
from pathlib import Path

import torch

from benchmarks.lib.reference import library

BAR = 1e-5
"""How far a score may be from transformers'."""

Scores = dict[str, float]
"""Score of each label."""


def known_scores(folder: Path, texts: list[str]) -> list[Scores]:
    """Transformers' scores of each text by itself, in float32."""
    transformers = library()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    labels = network.config.id2label
    found = []
    with torch.no_grad():
        for text in texts:
            encoded = tokenizer(text, return_tensors="pt")
            inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}
            scores = network(**inputs).logits[0].softmax(-1).tolist()
            found.append({labels[index]: score for index, score in enumerate(scores)})
    return found


def is_right(status: int, body: bytes, expected: Scores) -> bool:
    """Whether a reply is a 200 with one ranking, which has these scores."""
    if status != 200:
        return False
    [ranking] = json.loads(body)
    found = {one["label"]: one["score"] for one in ranking}
    return found.keys() == expected.keys() and all(abs(found[label] - expected[label]) <= BAR for label in expected)
