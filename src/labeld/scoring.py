"""Rankings from logits, in float32 arithmetic as transformers' text-classification pipeline computes them."""

from collections.abc import Callable, Sequence

import numpy as np

from labeld.types import FunctionName, LabelScore, Logits, Ranking


def rank(logits: Logits, labels: Sequence[str], function: FunctionName, top_k: int | None) -> Ranking:
    """The ranking of one text from its logits, float32 [labels], best label first.

    Equal scores keep the order of the label ids. `top_k` None gives all labels. The scores must be finite.
    """
    scores = apply(logits, function)
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [
        LabelScore(labels[index], score) for index, score in zip(order.tolist(), scores[order].tolist(), strict=True)
    ]


def apply(logits: Logits, function: FunctionName) -> Logits:
    """The scores, float32 [labels]; not all finite only where the logits are not."""
    with np.errstate(over="ignore", invalid="ignore"):  # exp overflows to inf, and the score is exactly 0
        return FUNCTIONS[function](logits)


def _softmax(logits: Logits) -> Logits:
    shifted: Logits = np.exp(logits - logits.max())
    result: Logits = shifted / shifted.sum()
    return result


def _sigmoid(logits: Logits) -> Logits:
    return np.divide(np.float32(1), np.float32(1) + np.exp(-logits))


FUNCTIONS: dict[FunctionName, Callable[[Logits], Logits]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "none": lambda logits: logits,
}
"""Functions from logits to scores, by the names of `function_to_apply`."""
