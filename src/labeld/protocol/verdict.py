"""The answers of a policy's models to one text -> what is flagged in it, and where. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labeld.config.models_file import DEFAULT_THRESHOLD, PolicyModel


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What one request says of labels beside the policy; it wins."""

    threshold: float | None = None
    """The threshold of every label that `thresholds` does not name; None leaves the policy's."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By label."""
    safe_labels: tuple[str | int, ...] = ()
    """Labels that do not count, by name or by id; those that a model does not have mean nothing."""


class Rule(NamedTuple):
    """How one label of a model counts."""

    threshold: float
    """The score from which it is flagged."""
    category: str


Rules = Mapping[str, Rule]
"""By label, those that count."""


class Finding(NamedTuple):
    """A part of a text in which a label has reached its threshold: a window, or several that overlap."""

    start: int
    """Its first character's position."""
    end: int
    """The position after its last character."""
    label: str
    category: str
    score: float
    """The best of its windows."""


class Verdict(NamedTuple):
    """What the models of a policy say of one text."""

    scores: Mapping[str, float]
    """By category, the best of its labels in all windows; 0 in a text that is blank."""
    findings: tuple[Finding, ...]
    """In the order of the text; empty where nothing is flagged."""

    @property
    def flagged(self) -> frozenset[str]:
        """Categories that have a finding."""
        return frozenset(one.category for one in self.findings)


def rules(said: PolicyModel, asked: Adjustments, labels: Sequence[str]) -> Rules:
    """The labels of a model that count, with their thresholds and categories.

    Those that a threshold by label or a category names; all where none does, or the request has a threshold for all.
    Safe ones never count.
    """
    thresholds = said.threshold if isinstance(said.threshold, Mapping) else {}
    plain = said.threshold if isinstance(said.threshold, float) else DEFAULT_THRESHOLD
    named = {*thresholds, *said.categories}
    all_count = not named and (not asked.thresholds or asked.threshold is not None)
    named |= set(asked.thresholds)
    safe = {*said.safe_labels, *asked.safe_labels}
    found = {}
    for number, label in enumerate(labels):
        if (all_count or label in named) and label not in safe and number not in safe:
            least = thresholds.get(label, plain) if asked.threshold is None else asked.threshold
            found[label] = Rule(asked.thresholds.get(label, least), said.categories.get(label, label))
    return found


def verdict(text: str, answers: Sequence[tuple[Rules, Any]]) -> Verdict:
    """The verdict on a text by the answers of several models: `{"labels", "windows"}` with every score, as decoded.

    Nothing is flagged in a text that is blank.
    """
    scores: dict[str, float] = {}
    findings: list[Finding] = []
    is_blank = not text.strip()
    for its_rules, answer in answers:
        of_text = {one["label"]: one["score"] for one in reversed(answer["labels"])}  # of two of one name, the best
        for label, rule in its_rules.items():
            score = 0.0 if is_blank else of_text[label]
            scores[rule.category] = max(scores.get(rule.category, score), score)
        if not is_blank:
            findings += _findings(its_rules, answer["windows"])
    return Verdict(scores, tuple(sorted(findings)))


def _findings(its_rules: Rules, windows: Sequence[Any]) -> Iterator[Finding]:
    """The findings in the windows of a text, which are in its order."""
    for label, rule in its_rules.items():
        found: Finding | None = None
        for window in windows:
            score = next(one["score"] for one in window["labels"] if one["label"] == label)
            if score < rule.threshold:
                continue
            if found is not None and window["start"] < found.end:
                found = found._replace(end=max(found.end, window["end"]), score=max(found.score, score))
                continue
            if found is not None:
                yield found
            found = Finding(window["start"], window["end"], label, rule.category, score)
        if found is not None:
            yield found
