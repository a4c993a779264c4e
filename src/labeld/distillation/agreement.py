"""How far two models answer alike."""

import numpy as np

from labeld.literals import FunctionName
from labeld.types import Logits


def agreement(ours: Logits, theirs: Logits, function: FunctionName) -> float:
    """Of logits [texts, labels], the share that `share_of` names; at most 1."""
    if theirs.shape[1] > 1 and function == "softmax":
        return float((ours.argmax(-1) == theirs.argmax(-1)).mean())
    if theirs.shape[1] > 1 and function == "sigmoid":
        return float(((ours > 0) == (theirs > 0)).mean())
    rest = float(np.square(ours - theirs).sum())
    return 1 - rest / max(float(np.square(theirs - theirs.mean(0)).sum()), 1e-12)


def share_of(labels: int, function: FunctionName) -> str:
    """What `agreement` is the share of."""
    if labels == 1 or function == "none":
        return "the variance of the teacher's numbers that is explained (R²)"
    return "texts with the same best label" if function == "softmax" else "labels on the same side of a score of 0.5"
