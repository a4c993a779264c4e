"""`labeld models check`: one model in each precision, as tables or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from labeld.autotune.judge import Judge
from labeld.config.precision import FASTER
from labeld.config.settings import Settings
from labeld.engines.base import Engine
from labeld.evaluation.precisions import precision_figures
from labeld.lifecycle.model import ModelFolder
from labeld.literals import Precision
from labeld.repository.resolver import ModelLocation
from labeld.service.build import load_options
from labeld.types import Logits

LABELS_SHOWN = 12


def check_model(model: str, location: ModelLocation, settings: Settings, *, as_json: bool) -> None:
    """Tries every precision of a model and prints what was found; raises LabeldError when it cannot be loaded."""
    read = ModelFolder(location.folder, load_options(settings), location.commit, model)
    found = _try(model, read)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))  # noqa: T201
    else:
        _print(found)


def _try(model: str, read: ModelFolder) -> dict[str, Any]:
    """Metadata of the model and measurements of each precision, as `--json` prints them."""
    max_tokens = 0
    columns = (TextColumn("{task.description:>8}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars = {precision: progress.add_task(precision, total=1.0) for precision in ("float32", *FASTER)}

        def step(precision: Precision, engine: Engine, done: float) -> None:
            nonlocal max_tokens
            max_tokens = read.encoder(engine.max_tokens).max_tokens
            progress.update(bars[precision], completed=done)

        logits: dict[Precision, Logits] = {}
        rows: list[int] = []

        def found(precision: Precision, its_logits: Logits, readable: Sequence[int]) -> None:
            logits[precision] = its_logits
            rows[:] = readable

        choice = read.try_precisions(step, found)
    by_labels: Any = None
    if isinstance(read.judge, Judge):
        by_labels = [asdict(one) for one in precision_figures(read.judge, logits, rows)]
    return {
        "model": model,
        "revision": read.revision,
        "model_type": read.config.model_type,
        "architecture": read.config.architecture,
        "labels": list(read.config.labels),
        "function_to_apply": read.config.default_function,
        "max_input_length": max_tokens,
        "precisions": [asdict(one) for one in choice.measured],
        "refused": choice.refused,
        "evaluation_texts": {
            "texts": choice.texts,
            **asdict(choice.diversity),
            "varied_enough": choice.diversity.enough,
        },
        "by_labels": by_labels,
        "not_judged_by_labels": read.judge if isinstance(read.judge, str) else None,
        "auto": choice.precision,
    }


def _print(found: dict[str, Any]) -> None:
    console = Console()
    labels = found["labels"]
    named = ", ".join(labels[:LABELS_SHOWN]) + (", …" if len(labels) > LABELS_SHOWN else "")
    summary = Table.grid(padding=(0, 2))
    for name, value in (
        ("model", found["model"]),
        ("revision", found["revision"]),
        ("architecture", f"{found['architecture']} ({found['model_type']})"),
        ("labels", f"{len(labels)}: {named}"),
        ("scores", found["function_to_apply"]),
        ("tokens", f"at most {found['max_input_length']} per text"),
    ):
        summary.add_row(name, value)
    console.print(summary, markup=False)
    table = Table("precision", "load s", "MB", "tokens/s", "agreement", "mean change", "p99 change")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found["precisions"]:
        loss = one["loss"]
        figures = (f"{loss['agreement']:.4f}", f"{loss['mean_change']:.4f}", f"{loss['p99_change']:.4f}")
        speed = f"{one['tokens_per_second']:.0f}"
        table.add_row(
            one["precision"], f"{one['load_seconds']:.2f}", f"{one['memory_bytes'] / 1e6:.0f}", speed, *figures
        )
    console.print(table)
    _print_by_labels(console, found)
    for reason in found["refused"].values():
        console.print(reason, markup=False)
    evaluated = found["evaluation_texts"]
    frequent = "" if evaluated["most_frequent"] is None else f"{evaluated['most_frequent']:.0%} have the same answer, "
    console.print(f"{evaluated['texts']} texts: {frequent}scores spread over {evaluated['spread']:.2f}.")
    varied = (
        ""
        if evaluated["varied_enough"]
        else " (the answers are not varied enough to judge by: give texts with --evaluation-texts)"
    )
    console.print(f"Precision auto takes {found['auto']}{varied}.")


def _print_by_labels(console: Console, found: dict[str, Any]) -> None:
    """The precisions by the labels of the evaluation texts, where they have any."""
    if found["not_judged_by_labels"]:
        console.print(f"Not judged by the labels of the texts: {found['not_judged_by_labels']}.", markup=False)
    if not found["by_labels"]:
        return
    columns = ("precision", "right", "accuracy", "95 % interval", "macro F1", "95 % interval", "change", "p")
    table = Table(*columns, title="By the labels of the texts", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    rights = {one["precision"]: one["right"] for one in found["precisions"]}
    for one in found["by_labels"]:
        cells = []
        for metric in (one["accuracy"], one["macro_f1"]):
            cells += [f"{metric['value']:.4f}", f"{metric['low']:.4f} to {metric['high']:.4f}"]
        change = f"{one['change']['value']:+.4f}", f"{one['change']['p_value']:.2g}"
        table.add_row(one["precision"], f"{rights[one['precision']]:.4f}", *cells, *change)
    console.print(table)
