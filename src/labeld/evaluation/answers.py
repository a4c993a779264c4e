"""What a model answers to many texts, as logits: of these every score, at any temperature, is a function."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeld.classifier import UNBOUNDED
from labeld.config.models_file import ModelEntry
from labeld.config.precision import CHOICES
from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError, LabeldError
from labeld.evaluation.judged import Scores
from labeld.files.classify import reason
from labeld.repository.folders import DEFAULT_MODEL
from labeld.scoring import apply
from labeld.service.in_process import InProcessService, OpenModel, in_order
from labeld.service.inputs import CHUNK
from labeld.types import Logits, Parameters, Text

Step = Callable[[int], object]
"""Called with a number of texts that are done."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The logits of one model for many texts."""

    model: OpenModel
    name: str
    """As it was asked for: its id, `id@revision`, or an alias."""
    entry: ModelEntry | None
    """The alias's part of the configuration file, if it is one."""
    logits: Logits
    """float32 [windows of all texts, labels], those of one text behind those of the text before."""
    windows: NDArray[np.intp]
    """int64 [texts]: how many of them each has, 0 where it cannot be classified."""
    reasons: dict[int, str]
    """By position, why a text cannot be classified."""

    @property
    def temperature(self) -> float:
        """What the logits are divided by in the answers of a server with this configuration."""
        return 1.0 if self.entry is None else self.entry.temperature

    @property
    def multi_label(self) -> bool:
        """True where each label has a score of its own, false where a text gets the best one."""
        return self.model.function == "sigmoid"

    def scores(self, rows: Sequence[int], temperature: float) -> Scores:
        """The scores at this temperature of the texts at these positions, which all have logits."""
        places = np.asarray(rows, np.intp)
        counts = self.windows[places]
        assert counts.all()
        starts = np.cumsum(counts) - counts
        first = (np.cumsum(self.windows) - self.windows)[places]
        its_windows = np.repeat(first - starts, counts) + np.arange(counts.sum())
        scores = apply(self.logits[its_windows], self.model.function, temperature).astype(np.float64)
        if len(scores) == len(places):
            return scores
        if self.entry is not None and self.entry.windows.aggregate == "mean":
            means: Scores = np.add.reduceat(scores, starts) / counts[:, None]
            return means
        best: Scores = np.maximum.reduceat(scores, starts)
        return best


class Named(NamedTuple):
    """A model of the settings, by the name that it is called in reports."""

    name: str
    settings: Settings


def choose(settings: Settings, model: str) -> Named:
    """The settings with this model; empty is the default one."""
    name = model or next(iter(settings.folders.models), DEFAULT_MODEL)
    return Named(name, replace(settings, queue=UNBOUNDED, folders=replace(settings.folders, models=(name,))))


def choose_other(settings: Settings, model: str, other: str) -> Named:
    """The settings with another model, or with this one in another precision where `other` is a precision's name."""
    if other not in CHOICES:
        return choose(settings, other)
    first = choose(settings, model)
    aliases = dict(settings.file.models)
    if first.name in aliases:
        aliases[first.name] = replace(aliases[first.name], precision=other)
    changed = replace(
        first.settings,
        precisions=replace(settings.precisions, precision=other),
        file=replace(settings.file, models=aliases),
    )
    return Named(f"{first.name} in {other}", changed)


def read_answers(
    chosen: Named, texts: Sequence[Text], asked: Parameters, check: Callable[[OpenModel], None], step: Step
) -> Answers:
    """The answers of a model to the texts; one that cannot be classified is left out with its reason.

    `check` is given the model once it is open, and may raise. Raises LabeldError where the model cannot be used.
    """
    service = InProcessService(chosen.settings)
    try:
        model = service.start()
        check(model)
        entry = chosen.settings.file.models.get(chosen.settings.folders.models[0])
        return Answers(model, chosen.name, entry, *_in_chunks(service, texts, asked, step, len(model.labels)))
    finally:
        service.stop()


def require_classifier(name: str, model: OpenModel) -> None:
    """Raises InvalidRequestError for a model whose answers are no labels, or labels that cannot be told apart."""
    if len(model.labels) == 1 or model.function == "none":
        raise InvalidRequestError(
            f"{name} is a {'reranker' if len(model.labels) == 1 else 'regression'} model: it gives a text "
            f"{'one number' if len(model.labels) == 1 else 'numbers'}, no label, so there is nothing to compare with "
            "labels. Name a classifier with two labels or more."
        )
    require_different_labels(name, model.labels)


def require_different_labels(name: str, labels: Sequence[str]) -> None:
    """Raises InvalidRequestError for a model of which two labels have one name."""
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise InvalidRequestError(
            f"{name} has the label {twice[0]!r} twice, so its answers cannot be told apart: rename one in its config."
        )


def _in_chunks(
    service: InProcessService, texts: Sequence[Text], asked: Parameters, step: Step, labels: int
) -> tuple[Logits, NDArray[np.intp], dict[int, str]]:
    """As `Answers` has them."""
    nothing: Logits = np.empty((0, labels), np.float32)
    logits = [nothing]
    windows: list[int] = []
    reasons: dict[int, str] = {}
    chunked = ((start, [*texts[start : start + CHUNK]]) for start in range(0, len(texts), CHUNK))
    submit = partial(asyncio.run_coroutine_threadsafe, loop=service.loop)
    with closing(in_order(submit, chunked, service.logits, asked)) as answered:
        for chunk in answered:
            known = [nothing]
            answers = chunk.result()
            for one in answers:
                if isinstance(one, LabeldError):
                    reasons[len(windows)] = reason(one)
                    windows.append(0)
                else:
                    known.append(one)
                    windows.append(len(one))
            # NOTE: as one array, since each of its own would take many times the memory of its numbers
            logits.append(np.concatenate(known))
            step(len(answers))
    return np.concatenate(logits), np.array(windows, np.intp), reasons
