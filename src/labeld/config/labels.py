"""What aliases and policies say of labels, compared with the labels of their models."""

from collections.abc import Iterator, Mapping, Sequence

from labeld.config.models_file import ModelEntry, PolicyModel, ZeroShotDefaults

MOST_NAMED = 12
"""Labels that a sentence names, at most."""


def renamed(entry: ModelEntry, labels: Sequence[str]) -> tuple[str, ...]:
    """The names in answers of a model's labels, in their order."""
    return tuple(entry.rename.get(label, label) for label in labels)


def label_mistakes(entry: ModelEntry, labels: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path in the entry and sentence of each label that the model does not have, and of names given twice."""
    for label in entry.rename:
        if label not in labels:
            yield ("rename", label), f"The model of {entry.alias} has no label {label!r}, only {_named(labels)}."
    names = renamed(entry, labels)
    for label, name in entry.rename.items():
        if names.count(name) > 1:
            yield ("rename", label), f"The model of {entry.alias} has another label called {name!r}."
    for name in entry.thresholds if isinstance(entry.thresholds, dict) else ():
        if name not in names:
            yield ("thresholds", name), f"The answers of {entry.alias} have no label {name!r}, only {_named(names)}."
    if entry.rerank_label is not None and entry.rerank_label not in names:
        unknown = f"The answers of {entry.alias} have no label {entry.rerank_label!r}, only {_named(names)}."
        yield ("rerank_label",), unknown
    if entry.zero_shot != ZeroShotDefaults() and not scores_candidates(names):
        no_nli = f"The answers of {entry.alias} have no label of entailment, only {_named(names)}"
        yield ("zero_shot",), f"{no_nli}: name an NLI model, or leave zero_shot out."


def entailment(labels: Sequence[str]) -> int | None:
    """The id of an NLI model's label of entailment, by its name (transformers, ZeroShotClassificationPipeline)."""
    return next((number for number, label in enumerate(labels) if label.lower().startswith("entail")), None)


def scores_candidates(labels: Sequence[str]) -> bool:
    """True of the labels of a model that can score candidate labels: entailment, and one against it."""
    return entailment(labels) is not None and len(labels) > 1


def candidate_mistake(
    entry: ModelEntry, labels: Sequence[str], candidate: ModelEntry, its_labels: Sequence[str]
) -> str | None:
    """The sentence on a second model whose answers have other labels than the alias's; None where they are equal.

    `candidate` has the names that the second model's labels get.
    """
    known, others = renamed(entry, labels), renamed(candidate, its_labels)
    if {*known} == {*others} and all(label in its_labels for label in candidate.rename):
        return None
    return (
        f"The answers of {candidate.model} have the labels {_named(others)}, but those of {entry.alias} "
        f"{_named(known)}: name an alias of it whose rename makes them equal, or another model."
    )


def policy_mistakes(model: str, said: PolicyModel, labels: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path in the policy's model and sentence of each label that the model's answers do not have."""
    named = {
        "threshold": said.threshold if isinstance(said.threshold, Mapping) else (),
        "categories": said.categories,
        "safe_labels": said.safe_labels,
    }
    for part, names in named.items():
        for name in names:
            if name not in labels:
                path = (part,) if part == "safe_labels" else (part, name)
                yield path, f"The answers of {model} have no label {name!r}, only {_named(labels)}."


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels[:MOST_NAMED]) + (", …" if len(labels) > MOST_NAMED else "")
