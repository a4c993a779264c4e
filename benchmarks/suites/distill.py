"""Distillation: a student of the bundled sentiment model, from SST-2's sentences as texts without labels."""

import csv
import tempfile
from pathlib import Path

from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.texts import english
from labeld import Classifier
from labeld.config.load import load
from labeld.distillation.distill import Task, distill
from labeld.distillation.plan import Plan as Recipe
from labeld.repository.folders import DEFAULT_MODEL

SPEED_BAR, LOST_BAR, MINUTES_BAR = 2.5, 1.0, 60.0
RECIPE = Recipe(layers=3, intermediate_size=640, made=2.0)
QUICK = Recipe(layers=1, epochs=1)


def measure(plan: Plan) -> list[Figure]:
    """The student's speed, the points of accuracy on SST-2 dev that it loses, and the minutes that it took."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "models/org/student"
        texts = Path(folder) / "texts.csv"
        with texts.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["text"], *([text] for text in _texts(plan))])
        bar = plan.progress.add_task("distill", total=None)
        result = distill(
            load({}, name_of=str),
            Task(DEFAULT_MODEL, [str(texts)], output, QUICK if plan.quick else RECIPE),
            lambda what, done, whole: plan.progress.update(bar, description=what, completed=done, total=whole),
        )
        plan.progress.remove_task(bar)
        assert result is not None
        detail = {"layers": result.layers, "parameters": result.parameters, "texts": result.taught}
        found = [
            Figure("distill", "tokens/s / teacher's", result.speed, "", SPEED_BAR, "at least", detail),
            Figure("distill", f"share of {result.agreement_of}", result.agreement, ""),
            Figure("distill", "minutes", result.seconds / 60, "min", MINUTES_BAR),
        ]
        if plan.data is not None:
            right = [_accuracy(model, plan.data, output.parents[1]) for model in (DEFAULT_MODEL, "org/student")]
            lost = 100 * (right[0] - right[1])
            detail = {"teacher": right[0], "student": right[1]}
            found.append(Figure("distill", "points of accuracy lost on SST-2 dev", lost, "", LOST_BAR, detail=detail))
    return found


def _texts(plan: Plan) -> list[str]:
    """SST-2's training phrases, without their labels; without data the beginnings of the shipped sentences."""
    if plan.data is None:
        return [" ".join(words[:end]) for words in map(str.split, english(None)) for end in range(1, len(words) + 1)]
    rows = [text for text, _ in _rows(plan.data / "sst2/train.tsv")]
    return rows[:2000] if plan.quick else rows


def _rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def _accuracy(model: str, data: Path, models_dir: Path) -> float:
    rows = _rows(data / "sst2/dev.tsv")
    with Classifier(model, models_dir=models_dir) as classifier:
        found = [ranking[0].label for ranking in classifier([text for text, _ in rows])]
    answers = [["NEGATIVE", "POSITIVE"][int(label)] for _, label in rows]
    return sum(one == other for one, other in zip(found, answers, strict=True)) / len(rows)
