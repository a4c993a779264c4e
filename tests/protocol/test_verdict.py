"""Verdicts on texts by the answers of a policy's models."""

from collections.abc import Mapping
from typing import Any

import pytest

from labeld.config.models_file import PolicyModel
from labeld.protocol.verdict import Adjustments, Finding, Rule, rules, verdict

LABELS = ("neutral", "toxic", "threat")


def answer(*windows: tuple[int, int, Mapping[str, float]]) -> dict[str, Any]:
    """The answer of a model to a text read in these windows: start, end and scores by label."""
    ranked = [
        {"start": start, "end": end, "labels": [{"label": label, "score": score} for label, score in scores.items()]}
        for start, end, scores in windows
    ]
    best = {label: max(scores[label] for _, _, scores in windows) for label in windows[0][2]}
    return {"labels": [{"label": label, "score": score} for label, score in best.items()], "windows": ranked}


@pytest.mark.parametrize(
    ("said", "asked", "counted"),
    [
        (PolicyModel(), Adjustments(), {"neutral": 0.5, "toxic": 0.5, "threat": 0.5}),
        (PolicyModel(0.7, safe_labels=("neutral",)), Adjustments(), {"toxic": 0.7, "threat": 0.7}),
        (PolicyModel({"toxic": 0.2}), Adjustments(), {"toxic": 0.2}),
        (PolicyModel(0.7, {"threat": "violence"}), Adjustments(), {"threat": 0.7}),
        (PolicyModel({"toxic": 0.2}, {"threat": "violence"}), Adjustments(), {"toxic": 0.2, "threat": 0.5}),
        (PolicyModel({"toxic": 0.2}), Adjustments(0.9), {"toxic": 0.9}),
        (PolicyModel({"toxic": 0.2}), Adjustments(thresholds={"threat": 0.1}), {"toxic": 0.2, "threat": 0.1}),
        (PolicyModel(), Adjustments(thresholds={"toxic": 0.1}), {"toxic": 0.1}),
        (PolicyModel(), Adjustments(0.8, {"toxic": 0.1}), {"neutral": 0.8, "toxic": 0.1, "threat": 0.8}),
        (PolicyModel(0.7), Adjustments(safe_labels=(0, "threat", "unknown", 99)), {"toxic": 0.7}),
        (PolicyModel({"toxic": 0.0}), Adjustments(), {"toxic": 0.0}),
    ],
)
def test_labels_that_count(said: PolicyModel, asked: Adjustments, counted: dict[str, float]) -> None:
    """Those that the policy names, else all but the safe ones; what the request says wins."""
    assert counted == {label: rule.threshold for label, rule in rules(said, asked, LABELS).items()}


def test_a_label_without_a_category_is_its_own() -> None:
    """Both kinds beside each other."""
    found = rules(PolicyModel({"toxic": 0.5}, {"threat": "violence"}), Adjustments(), LABELS)

    assert {"toxic": "toxic", "threat": "violence"} == {label: rule.category for label, rule in found.items()}


def test_windows_that_overlap_are_one_finding() -> None:
    """With the best score; one that only touches, or follows a window in which nothing was found, is another."""
    windows = [(0, 10, 0.6), (8, 20, 0.9), (18, 30, 0.4), (28, 40, 0.5), (40, 50, 0.7)]
    found = verdict("x" * 50, [({"a": Rule(0.5, "b")}, answer(*[(*span, {"a": score}) for *span, score in windows]))])

    assert (
        Finding(0, 20, "a", "b", 0.9),
        Finding(28, 40, "a", "b", 0.5),
        Finding(40, 50, "a", "b", 0.7),
    ) == found.findings
    assert ({"b": 0.9}, {"b"}) == (found.scores, found.flagged)


def test_categories_have_the_best_score_of_all_models() -> None:
    """Of several labels and of several models; a label that does not count is nowhere."""
    first = ({"toxic": Rule(0.9, "harassment"), "threat": Rule(0.9, "harassment")}, {"toxic": 0.2, "threat": 0.3})
    second = ({"bad": Rule(0.5, "harassment"), "spam": Rule(0.5, "spam")}, {"bad": 0.6, "spam": 0.1, "good": 0.99})
    found = verdict("text", [(its_rules, answer((0, 4, scores))) for its_rules, scores in (first, second)])

    assert {"harassment": 0.6, "spam": 0.1} == found.scores
    assert (Finding(0, 4, "bad", "harassment", 0.6),) == found.findings


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_nothing_is_flagged_in_a_blank_text(text: str) -> None:
    """Whatever a model says of it."""
    found = verdict(text, [({"a": Rule(0.5, "b")}, answer((0, len(text), {"a": 0.99})))])

    assert ({"b": 0.0}, ()) == (found.scores, found.findings)


def test_of_two_labels_of_one_name_the_best_counts() -> None:
    """As some models have them; answers have the best score first."""
    labels = [{"label": "a", "score": 0.9}, {"label": "a", "score": 0.1}]
    found = verdict(
        "text", [({"a": Rule(0.5, "b")}, {"labels": labels, "windows": [{"start": 0, "end": 4, "labels": labels}]})]
    )

    assert ({"b": 0.9}, (Finding(0, 4, "a", "b", 0.9),)) == (found.scores, found.findings)
