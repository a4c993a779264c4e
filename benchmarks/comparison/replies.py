"""The scores in a server's reply, and their distance from those of transformers."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from benchmarks.lib.peer import PeerError
from benchmarks.lib.reference import library
from labeld.types import Text

Scores = dict[str, float]
"""Score of each label."""
BAR = 1e-3
"""A peer in float32 whose scores are further off computes something else, and is not timed."""


def rankings(reply: Any) -> list[Scores]:
    """The lists of {"label", "score"} anywhere in a reply, in order; a string may be the JSON of one."""
    return list(_rankings(reply))


def difference(expected: Sequence[Scores], found: Sequence[Scores]) -> float:
    """The largest difference of a score; a peer may leave out labels, but must give one for each text.

    Raises PeerError when labels or counts do not fit.
    """
    if len(found) != len(expected):
        raise PeerError(f"it gave {len(found)} rankings for {len(expected)} texts.")
    largest = 0.0
    for right, scores in zip(expected, found, strict=True):
        if not scores or not scores.keys() <= right.keys():
            raise PeerError(f"it gave the labels {', '.join(scores) or '(none)'} instead of {', '.join(right)}.")
        largest = max(largest, *(abs(score - right[label]) for label, score in scores.items()))
    return largest


def reference(folder: Path, texts: Sequence[Text], cache: Path) -> list[Scores]:
    """Transformers' scores of each text by itself in float32; computed once, then read from the cache."""
    key = hashlib.sha256(json.dumps([folder.name, *((one.text, one.pair) for one in texts)]).encode()).hexdigest()
    file = cache / "scores" / f"{key[:16]}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_compute(folder, texts)))
    found: list[Scores] = json.loads(file.read_text())
    return found


def _rankings(reply: Any) -> Iterator[Scores]:
    if _is_score(reply):
        yield {reply["label"]: reply["score"]}
    elif isinstance(reply, list) and reply and all(map(_is_score, reply)):
        yield {one["label"]: float(one["score"]) for one in reply}
    elif isinstance(reply, str) and reply.startswith('[{"label"'):  # JSON in a tensor of strings: Triton's way
        yield from _rankings(json.loads(reply))
    elif isinstance(reply, list | dict):
        for part in reply if isinstance(reply, list) else reply.values():
            yield from _rankings(part)


def _is_score(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("score"), int | float) and "label" in part


def _compute(folder: Path, texts: Sequence[Text]) -> list[Scores]:
    import torch  # noqa: PLC0415  # a second run reads them and needs no torch

    transformers = library()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    labels = network.config.id2label
    taken = signature(network.forward).parameters
    found = []
    with torch.no_grad():
        for text in texts:
            encoded = tokenizer(text.text, text.pair, truncation=True, max_length=512, return_tensors="pt")
            logits = network(**{name: value for name, value in encoded.items() if name in taken}).logits[0]
            scores = (logits.sigmoid() if len(labels) == 1 else logits.softmax(-1)).tolist()
            found.append({labels[index]: score for index, score in enumerate(scores)})
    return found
