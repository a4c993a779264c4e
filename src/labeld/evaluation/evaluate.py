"""An evaluation from files to its result: rows are read, models answer, and what they answer is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from labeld.config.models_file import ModelEntry
from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError
from labeld.evaluation import bootstrap, calibration, paired, thresholds
from labeld.evaluation.answers import Answers, Named, choose, choose_other, read_answers, require_classifier
from labeld.evaluation.configuration import as_yaml, default_alias
from labeld.evaluation.judged import DECISION, Judged, Scores, Truth, judge, judge_best
from labeld.evaluation.result import (
    Comparison,
    Evaluation,
    Mistake,
    ModelResult,
    UnusableRow,
    labels_of,
    model_result,
    worst,
)
from labeld.evaluation.rows import Columns, LabelledRow, LabelledRows, read_rows, read_truth
from labeld.evaluation.statistics import Vector, names, vector
from labeld.service.in_process import OpenModel
from labeld.types import Parameters

MISTAKES = 20
"""Mistakes that a result has, at most."""

Step = Callable[[str, int, int], object]
"""Called with what is being done, how much of it is done in all, and how much there is."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be evaluated, and how."""

    model: str
    """Empty for the settings' own."""
    inputs: Sequence[str]
    columns: Columns = field(default_factory=Columns)
    kind: str | None = None
    """Name of the files' format; None where their names say it."""
    mapped: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Labels of the files that are others of the model."""
    truncation: bool = False
    against: str | None = None
    """Another model, or a precision."""
    best_f1: bool = False
    target_precision: float | None = None
    calibrate: bool = False
    alias: str | None = None
    """In the YAML; None for the model's alias, or one made of its id."""
    resamples: int = bootstrap.RESAMPLES
    seed: int = bootstrap.SEED


@dataclass(frozen=True, slots=True)
class Found:
    """An evaluation, and the arrays that pictures are drawn of."""

    evaluation: Evaluation
    judged: Judged
    against: Judged | None
    calibrated: Judged | None


def evaluate(settings: Settings, question: Question, step: Step) -> Found:
    """The whole evaluation. Raises LabeldError in one sentence for whatever cannot be evaluated."""
    read = read_rows(question.inputs, question.columns, question.kind)
    chosen = [choose(settings, question.model)]
    if question.against is not None:
        chosen.append(choose_other(settings, question.model, question.against))
    models = [_Model.read(one, read.rows, question, step) for one in chosen]
    usable = [row for row in range(len(read.rows)) if all(row not in one.answers.reasons for one in models)]
    if not usable:
        reason = next(iter(models[0].answers.reasons.values()), "")
        raise InvalidRequestError(f"No text of {', '.join(read.files)} can be classified. The first: {reason}")
    judged = [one.judged(usable) for one in models]
    samples = bootstrap.resample(judged, question.resamples, question.seed, _counter(step, question.resamples))
    values = [vector(one) for one in judged]
    results = [
        model.result(one, its_values, its_samples)
        for model, one, its_values, its_samples in zip(models, judged, values, samples, strict=True)
    ]
    found = None
    if question.calibrate:
        found = calibration.calibrate(judged[0], lambda one: models[0].scores(usable, one), question.seed)
    calibrated = None
    if found is not None and found.reason_against is None:
        calibrated = models[0].judged(usable, found.temperature)
    chosen_thresholds: Sequence[thresholds.Threshold] = ()
    if question.best_f1 or question.target_precision is not None:
        chosen_thresholds = thresholds.choose(calibrated or judged[0], question.target_precision)
    evaluation = Evaluation(
        read.files,
        len(usable),
        _unusable(read, models),
        question.resamples,
        question.seed,
        results[0],
        _comparison(judged, values, samples, results) if len(models) > 1 else None,
        found,
        tuple(chosen_thresholds),
        question.target_precision,
        tuple(_mistakes(judged[0], [read.rows[row] for row in usable])),
        _configuration(models[0].answers, question, found, chosen_thresholds, len(usable)),
        tuple(dict.fromkeys(one.note for one in models if one.note)),
    )
    return Found(evaluation, judged[0], judged[1] if len(judged) > 1 else None, calibrated)


def _counter(step: Step, whole: int) -> Callable[[], object]:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        step("intervals", done, whole)

    return count


@dataclass(frozen=True, slots=True)
class _Model:
    """The answers of one model to all rows, and the truth in its own labels."""

    answers: Answers
    truth: Truth
    note: str | None
    """About labels that were read as ids."""

    @classmethod
    def read(cls, chosen: Named, rows: Sequence[LabelledRow], question: Question, step: Step) -> "_Model":
        truth, note, done = np.zeros((0, 0), bool), None, 0

        def check(model: OpenModel) -> None:
            """Finds labels that the model does not have before anything is computed."""
            nonlocal truth, note
            require_classifier(chosen.name, model)
            multi_label = model.function == "sigmoid"
            truth, note = read_truth(rows, chosen.name, model.labels, question.mapped, multi_label=multi_label)
            step(chosen.name, 0, len(rows))

        def count(texts: int) -> None:
            nonlocal done
            done += texts
            step(chosen.name, done, len(rows))

        asked = Parameters(truncation="longest_first" if question.truncation else None)
        answers = read_answers(chosen, [row.text for row in rows], asked, check, count)
        return cls(answers, truth, note)

    def scores(self, rows: Sequence[int], temperature: float) -> Scores:
        return self.answers.scores(rows, temperature)

    def judged(self, rows: Sequence[int], temperature: float | None = None) -> Judged:
        """The answers to these rows, at the temperature of the configuration or at this one."""
        scores = self.scores(rows, self.answers.temperature if temperature is None else temperature)
        labels, truth = self.answers.model.labels, self.truth[rows]
        if not self.answers.multi_label:
            return judge_best(labels, scores, truth)
        return judge(labels, scores, truth, None if self.answers.entry is None else self.answers.entry.thresholds)

    def result(self, judged: Judged, values: Vector, samples: NDArray[np.float64]) -> ModelResult:
        model = self.answers.model
        about = self.answers.name, model.revision, model.precision
        return model_result(judged, values, samples, about, self.answers.temperature)


def _comparison(
    judged: Sequence[Judged], values: Sequence[Vector], samples: Sequence[bootstrap.Samples], results: list[ModelResult]
) -> Comparison:
    def difference(group: str, metric: str) -> paired.Difference:
        places = [names(one).index((group, metric)) for one in judged]
        pair = float(values[0][places[0]]), float(values[1][places[1]])
        return paired.difference(pair, (samples[0][:, places[0]], samples[1][:, places[1]]))

    return Comparison(results[1], paired.mcnemar(*judged), difference("overall", "accuracy"), difference("macro", "f1"))


def _unusable(read: LabelledRows, models: Sequence[_Model]) -> tuple[UnusableRow, ...]:
    """The rows that are left out, in the order of the files."""
    order = {file: index for index, file in enumerate(read.files)}
    found = {(one.file, one.line): UnusableRow(one.file, one.line, one.reason) for one in read.bad}
    for model in models:
        for row, reason in model.answers.reasons.items():
            file, line = read.rows[row].file, read.rows[row].line
            found.setdefault((file, line), UnusableRow(file, line, reason))
    return tuple(sorted(found.values(), key=lambda one: (order[one.file], one.line)))


def _mistakes(judged: Judged, rows: Sequence[LabelledRow]) -> list[Mistake]:
    return [
        Mistake(
            rows[row].file,
            rows[row].line,
            *rows[row].text,
            labels_of(judged, judged.truth[row].tolist()),
            labels_of(judged, judged.decisions[row].tolist()),
            judged.labels[label],
            float(judged.scores[row, label]),
        )
        for row, label in worst(judged, MISTAKES)
    ]


def _configuration(
    answers: Answers,
    question: Question,
    found: calibration.Calibration | None,
    chosen: Sequence[thresholds.Threshold],
    texts: int,
) -> str | None:
    if found is None and not chosen:
        return None
    entry = answers.entry or ModelEntry(default_alias(answers.name), answers.name)
    if question.alias is not None:
        entry = replace(entry, alias=question.alias)
    remarks = [f"By labeld evaluate, from {texts} labelled texts in {answers.model.precision}."]
    remarks += [f"No threshold of {one.label} reaches that precision." for one in chosen if not one.reached]
    if chosen:
        entry, more = _with_thresholds(entry, answers.model.labels, chosen)
        remarks += more
    if found is not None and found.reason_against:
        remarks.append(found.reason_against)
    elif found is not None:
        entry = replace(entry, temperature=found.temperature)
        if not chosen and entry.thresholds is not None:
            remarks.append("The thresholds are as they were, chosen at another temperature: choose them anew, too.")
    return as_yaml(entry, remarks)


def _with_thresholds(
    entry: ModelEntry, labels: Sequence[str], chosen: Sequence[thresholds.Threshold]
) -> tuple[ModelEntry, list[str]]:
    """The alias with a threshold for every label, since one without is in every answer; and what is to be said."""
    before = entry.thresholds
    least = {one.label: one.value for one in chosen}
    remarks = []
    for label in labels:
        if label not in least:
            known = before.get(label) if isinstance(before, Mapping) else before
            least[label] = DECISION if known is None else known
            remarks.append(f"No text has the label {label}: its threshold of {least[label]:g} was not chosen by texts.")
    return replace(entry, thresholds={label: least[label] for label in labels}), remarks
