"""The pictures of an evaluation: confusion, precision and recall, reliability."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labeld.evaluation.evaluate import Found
from labeld.evaluation.judged import Judged
from labeld.evaluation.statistics import BINS, bins, confidences
from labeld.reports.page import Picture
from labeld.reports.pictures import HEIGHT, QUIET, SERIES, TEXT, WIDTH, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = len(SERIES)
"""Labels with a curve of precision and recall, at most: those that most texts have."""
MATRIX = 20
"""Labels of the confusion matrix, at most; the others are taken together."""
LONGEST_NAME = 18
"""Characters of a label in a picture, at most."""
DARKEST = 0.45
"""Opacity of the fullest cell: the count on it stays legible in light and dark."""


def pictures(found: Found) -> list[Picture]:
    """The pictures of an evaluation."""
    return [*_confusion(found.judged), _precision_recall(found.judged), _reliability(found)]


def _confusion(judged: Judged) -> Iterator[Picture]:
    if judged.multi_label:
        return
    names, counts = _matrix(judged)
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))

    def plot(figure: "Figure") -> None:
        from matplotlib.patches import Rectangle  # noqa: PLC0415  # an extra

        axes = figure.subplots()
        for row, column in np.ndindex(*counts.shape):
            alpha = DARKEST * float(shares[row, column])
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=SERIES[0], alpha=alpha, linewidth=0))
            if counts[row, column]:
                shown = f"{counts[row, column]:,}"
                axes.text(
                    column, row, shown, ha="center", va="center", color=TEXT, fontsize=8 if len(names) > 8 else 10
                )
        axes.grid(visible=False)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xticks(
            range(len(names)), names, rotation=0 if len(names) <= 3 else 60, ha="center" if len(names) <= 3 else "right"
        )
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("label that texts get")
        axes.set_ylabel("label that texts have")

    side = 0.42 * len(names)
    svg = draw("confusion", plot, max(WIDTH, side + 1.8), max(HEIGHT, side + 1.4))
    described = f"Of {len(judged.scores):,} texts {int(judged.right.sum()):,} get the label that they have."
    yield Picture(
        svg, f"Confusion matrix. {described}", "Texts by their label and the one that they get.", len(names) > 8
    )


def _matrix(judged: Judged) -> tuple[list[str], NDArray[np.int64]]:
    """Names and counts of the labels of most texts, all others in the last row and column."""
    used = np.flatnonzero(judged.truth.any(0) | judged.decisions.any(0))
    often = used[np.argsort(-judged.truth[:, used].sum(0), kind="stable")]
    shown = np.sort(often[:MATRIX])
    place = np.full(len(judged.labels), len(shown))
    place[shown] = range(len(shown))
    size = len(shown) + (len(used) > len(shown))
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (place[judged.truth.argmax(1)], place[judged.decisions.argmax(1)]), 1)
    names = [_name(judged.labels[index]) for index in shown]
    return names + (["all others"] if size > len(shown) else []), counts


def _precision_recall(judged: Judged) -> Picture:
    from sklearn.metrics import average_precision_score, precision_recall_curve  # noqa: PLC0415  # an extra

    texts = judged.truth.sum(0)
    often = [int(one) for one in np.argsort(-texts, kind="stable")[:CURVES] if texts[one]]
    areas = {one: average_precision_score(judged.truth[:, one], judged.scores[:, one]) for one in often}

    def plot(figure: "Figure") -> None:
        axes = figure.subplots()
        for colour, one in zip(SERIES, often, strict=False):
            precision, recall, _ = precision_recall_curve(judged.truth[:, one], judged.scores[:, one])
            label = f"{_name(judged.labels[one])} ({areas[one]:.3f})"
            axes.step(recall, precision, where="post", color=colour, linewidth=1.6, label=label)
        axes.set_xlim(0, 1.01)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.legend(loc="lower left")

    named = "; ".join(f"{judged.labels[one]} {areas[one]:.3f}" for one in often)
    more = "" if len(often) == int((texts > 0).sum()) else f" The {len(often)} labels of most texts."
    return Picture(
        draw("precision-recall", plot),
        f"Precision over recall by label. Average precision: {named}.",
        f"Precision over recall by label, with the average precision.{more}",
    )


def _reliability(found: Found) -> Picture:
    shown = [("as answered", found.judged)]
    if found.calibrated is not None and found.evaluation.calibration is not None:
        shown.append((f"temperature {found.evaluation.calibration.temperature:g}", found.calibrated))
    if found.against is not None and found.evaluation.against is not None:
        shown.append((found.evaluation.against.result.model, found.against))

    def plot(figure: "Figure") -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
        for colour, (name, judged) in zip(SERIES, shown, strict=False):
            confidence, right = confidences(judged)
            which = bins(confidence)
            counts = np.bincount(which, minlength=BINS)
            there = counts > 0
            means = [
                np.bincount(which, weights=one, minlength=BINS)[there] / counts[there] for one in (confidence, right)
            ]
            upper.plot(*means, color=colour, marker="o", markersize=4, linewidth=1.6, label=_name(name, 30))
        counts = np.bincount(bins(confidences(found.judged)[0]), minlength=BINS)
        lower.bar((np.arange(BINS) + 0.5) / BINS, counts, width=0.9 / BINS, color=SERIES[0])
        upper.set_ylim(0, 1.02)
        upper.set_ylabel("share that is right")
        upper.legend(loc="upper left")
        lower.set_xlim(0, 1)
        lower.set_xlabel("score")
        lower.set_ylabel("scores" if found.judged.multi_label else "texts")

    error = found.evaluation.result.ece.value
    return Picture(
        draw("reliability", plot),
        f"Reliability diagram; the expected calibration error is {error:.4f}.",
        "How often scores are right: on the dashed line they are what they say. Below, how many there are.",
    )


def _name(label: str, most: int = LONGEST_NAME) -> str:
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in label)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
