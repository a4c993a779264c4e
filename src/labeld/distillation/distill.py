"""A distillation from files to a folder: a teacher answers, a student learns, and both are measured."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.config.models_file import ModelsFile
from labeld.config.settings import Settings
from labeld.distillation.agreement import agreement, share_of
from labeld.distillation.card import card
from labeld.distillation.folder import write_card, write_folder
from labeld.distillation.made import made_of
from labeld.distillation.plan import Plan
from labeld.distillation.result import Result
from labeld.distillation.student import make_student
from labeld.distillation.texts import Texts, read_texts
from labeld.distillation.training import Training
from labeld.distillation.unfinished import Unfinished
from labeld.engines.torch.engine import max_tokens_of
from labeld.engines.torch.model import build_model
from labeld.errors import InvalidRequestError
from labeld.evaluation.answers import choose, read_answers, require_different_labels
from labeld.files.errors import FileError
from labeld.files.journal import state, writing
from labeld.files.streams import is_read_once
from labeld.lifecycle.model import ModelFolder
from labeld.service.build import load_options, open_resolver
from labeld.service.in_process import OpenModel
from labeld.types import EncodedText, Logits, Parameters, Text

MEASURED = 512
"""Texts whose time is taken, at most."""
ROUNDS = 3
CUT = Parameters(truncation="longest_first")

Step = Callable[[str, int, int], object]
"""Called with what is being done, how much of it is done in all, and how much there is."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be made of what."""

    model: str
    inputs: Sequence[str]
    output: Path
    plan: Plan
    column: str = "text"
    pair_column: str | None = None
    kind: str | None = None
    """Name of the files' format; None where their names say it."""
    overwrite: bool = False
    resume: bool = False


def distill(settings: Settings, task: Task, step: Step) -> Result | None:
    """Makes the student; None if an earlier run has completed it and this one only resumes.

    Raises LabeldError in one sentence for whatever is in the way, StoppedError after Ctrl-C while it is trained.
    """
    began = time.monotonic()
    unfinished = Unfinished(task.output)
    if not unfinished.prepare(overwrite=task.overwrite, resume=task.resume):
        return None
    settings = replace(settings, file=ModelsFile())
    options = load_options(settings)
    torch.set_num_threads(options.threads)
    with closing(open_resolver(settings, "any")) as resolver:
        location = resolver.open(resolver.find(task.model))
        _require_other_folder(task, location.folder)
        read = ModelFolder(location.folder, options, location.commit, task.model)
        require_different_labels(task.model, read.config.labels)
        teacher = build_model(read.config, open_checkpoint(location.folder), torch.float32)
        student = make_student(teacher, task.plan)
        layers = teacher.config.num_hidden_layers
        sizes = _parameters(student), _parameters(teacher)
        del teacher
        texts = read_texts(task.inputs, task.column, task.pair_column, task.kind, task.plan.held_out)
        with unfinished.begin(_run(task, texts, read.revision)):
            own = len(texts.taught)
            lessons = [*texts.taught, *made_of(texts.taught, round(task.plan.made * own), task.plan.seed)]
            targets = unfinished.targets()
            if targets is None:
                targets = _answers(settings, task, lessons, texts.held_out, step)
                unfinished.keep_targets(*targets)
            taught, taught_targets = _answered(lessons, targets[0])
            known = len(_usable(targets[0][:own]))
            held_out, held_out_targets = _answered(texts.held_out, targets[1])
            function = read.config.default_function
            encoder = read.encoder(min(task.plan.max_length, max_tokens_of(student)))
            pad = student.config.pad_token_id or 0
            training = Training(student, task.plan, function, pad, unfinished.checkpoint)
            with writing(task.output):
                training.run(
                    encoder.encode(taught, CUT),
                    taught_targets,
                    encoder.encode(held_out, CUT),
                    lambda logits: agreement(logits, held_out_targets, function),
                    lambda done, whole: step("training", done, whole),
                )
                write_folder(unfinished.made, student, read.config.raw, location.folder)
            made = ModelFolder(unfinished.made, options)
            found, rates = _measured(made, read, held_out, settings.compute.batch_tokens, step)
            result = Result(
                str(task.output),
                task.model,
                read.revision,
                known,
                len(taught) - known,
                len(held_out),
                texts.bad + own - known + len(texts.held_out) - len(held_out),
                (task.plan.layers, layers),
                sizes,
                rates,
                agreement(found, held_out_targets, function),
                share_of(len(read.config.labels), function),
                time.monotonic() - began,
            )
            with writing(task.output):
                write_card(unfinished.made, card(result, task.plan, training.history))
            unfinished.finish()
    return result


def _parameters(model: Any) -> int:
    return sum(one.numel() for one in model.parameters())


def _run(task: Task, texts: Texts, revision: str) -> dict[str, Any]:
    """What makes two runs the same, by the names of files.journal.DIFFERENT."""
    return {
        "inputs": [[one, texts.digest] if is_read_once(one) else state(one) for one in texts.files],
        "model": f"{task.model} {revision}",
        "options": [task.column, task.pair_column, task.kind, asdict(task.plan)],
    }


def _require_other_folder(task: Task, teacher: Path) -> None:
    """Raises FileError where the student would take the teacher's place."""
    if task.output.exists() and any(task.output.samefile(one) for one in (teacher, *teacher.parents)):
        raise FileError(f"{task.output} has {task.model}, which teaches: name another folder for the student.")


def _answers(
    settings: Settings, task: Task, lessons: list[Text], held_out: list[Text], step: Step
) -> tuple[Logits, Logits]:
    """The teacher's logits of both, float32 [texts, labels], NaN for a text that it does not answer."""
    every = [*lessons, *held_out]
    done, labels = 0, 0

    def opened(model: OpenModel) -> None:
        nonlocal labels
        labels = len(model.labels)
        step("the teacher's answers", 0, len(every))

    def count(some: int) -> None:
        nonlocal done
        done += some
        step("the teacher's answers", done, len(every))

    answers = read_answers(choose(settings, task.model), every, CUT, opened, count)
    logits = np.full((len(every), labels), np.nan, np.float32)
    logits[answers.windows > 0] = answers.logits
    if np.isnan(logits).all():
        raise InvalidRequestError(f"{task.model} answers none of these texts. The first: {answers.reasons[0]}")
    return logits[: len(lessons)], logits[len(lessons) :]


def _answered(texts: list[Text], targets: Logits) -> tuple[list[Text], Logits]:
    """The texts that the teacher answers, with its logits."""
    usable = _usable(targets)
    return [texts[row] for row in usable], targets[usable]


def _usable(targets: Logits) -> Any:
    """The rows that the teacher has answered, int64 [rows]."""
    return np.flatnonzero(~np.isnan(targets).any(1))


def _measured(
    student: ModelFolder, teacher: ModelFolder, texts: list[Text], budget: int, step: Step
) -> tuple[Logits, tuple[float, float]]:
    """The student's logits as it is served, and the tokens/s of both."""
    engines = [one.open("float32") for one in (student, teacher)]
    try:
        encoder = student.encoder(engines[0].max_tokens)
        encoded = encoder.encode(texts, CUT)
        found = np.empty((len(texts), len(student.config.labels)), np.float32)
        for rows in _batches(encoded, range(len(texts)), budget):
            found[rows] = engines[0].run([encoded[row] for row in rows])
        batches = [
            [encoded[row] for row in rows] for rows in _batches(encoded, range(min(MEASURED, len(texts))), budget)
        ]
        tokens = sum(len(text.ids) for batch in batches for text in batch)
        seconds: list[list[float]] = [[], []]
        for turn in range(ROUNDS):
            for engine, taken in zip(engines, seconds, strict=True):
                began = time.perf_counter()
                for batch in batches:
                    engine.run(batch)
                taken.append(time.perf_counter() - began)
            step("speed of both", turn + 1, ROUNDS)
    finally:
        for engine in engines:
            engine.close()
    return found, (tokens / median(seconds[0]), tokens / median(seconds[1]))


def _batches(texts: Sequence[EncodedText], rows: Sequence[int], budget: int) -> list[list[int]]:
    """The rows in batches of `budget` tokens at most, if they have more than one text, as a server makes them."""
    batches: list[list[int]] = [[]]
    tokens = 0
    for row in rows:
        if batches[-1] and tokens + len(texts[row].ids) > budget:
            batches.append([])
            tokens = 0
        batches[-1].append(row)
        tokens += len(texts[row].ids)
    return batches
