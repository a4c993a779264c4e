"""The figures of the card of labeld/emotions-28."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from emotions_28 import best_thresholds, f1, read_comments, targets
from figures import Folder, row

RESAMPLES = 500
EXAMPLES = [
    "Thank you so much, this made my day!",
    "I can't believe they cancelled it again.",
    "Does anyone know when the library opens?",
    "I'm really sorry for your loss.",
    "The meeting is at ten in room four.",
]


def lines(folder: Folder, data: Path) -> Iterator[str]:
    """F1 on test with thresholds from dev, over all labels and of each, and a few answers."""
    dev, test = read_comments(data / "dev.tsv"), read_comments(data / "test.tsv")
    dev_answers, answers = targets(dev, folder.labels), targets(test, folder.labels)
    thresholds = best_thresholds(folder.scores([text for text, _ in dev]), dev_answers)
    scores = folder.scores([text for text, _ in test])
    yield from ["| on test | macro-F1 | 95 % interval | micro-F1 | 95 % interval |", "|---|--:|---|--:|---|"]
    for name, chosen in (
        ("thresholds from dev", thresholds),
        ("threshold 0.5 for every label", torch.full_like(thresholds, 0.5)),
    ):
        each, micro = f1(scores, answers, chosen)
        low, high = resampled(scores, answers, chosen)
        spans = [f"{one:.3f} to {other:.3f}" for one, other in zip(low, high, strict=True)]
        yield row([name, f"**{each.mean():.4f}**", spans[0], f"{micro:.4f}", spans[1]])
    yield ""
    yield from ["| label | n | threshold | F1 |", "|---|--:|--:|--:|"]
    each, _ = f1(scores, answers, thresholds)
    for label, count, threshold, score in zip(
        folder.labels, answers.sum(0).tolist(), thresholds.tolist(), each.tolist(), strict=True
    ):
        yield row([label, int(count), f"{threshold:.2f}", f"{score:.3f}"])
    yield ""
    yield from ["| text | answer |", "|---|---|"]
    for text, found in zip(EXAMPLES, folder.scores(EXAMPLES).tolist(), strict=True):
        best = sorted(zip(found, folder.labels, strict=True), reverse=True)[:3]
        yield row([text, ", ".join(f"{label} {score:.2f}" for score, label in best)])


def resampled(
    scores: torch.Tensor, answers: torch.Tensor, thresholds: torch.Tensor
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The lower and the upper ends of the 95 % intervals of macro- and micro-F1, by resampling the comments."""
    said = (scores >= thresholds).float()
    counts = torch.stack([said * answers, said, answers]).flatten(2)
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(RESAMPLES):
        chosen = torch.randint(len(scores), (len(scores),), generator=generator)
        times = torch.bincount(chosen, minlength=len(scores)).float()
        hits, all_said, all_true = (times @ part for part in counts)
        macro = (2 * hits / (all_said + all_true).clamp(min=1)).mean()
        found.append([float(macro), float(2 * hits.sum() / (all_said + all_true).sum())])
    low, high = torch.tensor(found).quantile(torch.tensor([0.025, 0.975]), dim=0).tolist()
    return (low[0], low[1]), (high[0], high[1])
