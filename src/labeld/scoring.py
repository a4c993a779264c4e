"""Rankings from logits, in float32 arithmetic as transformers' text-classification pipeline computes them."""

from collections.abc import Callable, Sequence

import numpy as np

from labeld.literals import Aggregate, FunctionName
from labeld.types import LabelScore, Logits, Ranking, Threshold


def rank(
    scores: Logits, labels: Sequence[str], top_k: int | None = None, threshold: Threshold | None = None
) -> Ranking:
    """The ranking of one text from its scores, float32 [labels] and finite, best label first.

    Equal scores keep the order of the label ids. `top_k` None gives all labels that reach the threshold.
    """
    values = scores.tolist()  # NOTE: numpy takes five times as long to sort a handful
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    ranking = [LabelScore(labels[index], values[index]) for index in order]
    return reaching(ranking, threshold)[:top_k]


def reaching(ranking: Ranking, threshold: Threshold | None) -> Ranking:
    """The labels of a ranking whose scores reach the threshold; of one by label, all that it does not name, too."""
    if threshold is None:
        return ranking
    if not isinstance(threshold, tuple):
        return [one for one in ranking if one.score >= threshold]
    least = dict(threshold)
    return [one for one in ranking if one.score >= least.get(one.label, one.score)]


def aggregate(scores: Logits, how: Aggregate | None) -> Logits:
    """The scores of a whole text, float32 [labels], from those of its windows, float32 [windows, labels]."""
    result: Logits = scores.mean(axis=0) if how == "mean" else scores.max(axis=0)
    return result


def apply(logits: Logits, function: FunctionName, temperature: float = 1.0) -> Logits:
    """The scores, float32 [..., labels] as the logits are; not all finite only where the logits are not.

    Softmax and sigmoid take the logits divided by the temperature, `none` gives them as they are.
    """
    if temperature != 1.0 and function != "none":
        logits = logits / np.float32(temperature)
    with np.errstate(over="ignore", invalid="ignore"):  # exp overflows to inf, and the score is exactly 0
        return FUNCTIONS[function](logits)


def _softmax(logits: Logits) -> Logits:
    shifted: Logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Logits = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def _sigmoid(logits: Logits) -> Logits:
    return np.divide(np.float32(1), np.float32(1) + np.exp(-logits))


FUNCTIONS: dict[FunctionName, Callable[[Logits], Logits]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "none": lambda logits: logits,
}
"""Functions from logits to scores, by the names of `function_to_apply`."""
