"""`labeld models verify`: compares our scores with published ones, on the real checkpoints.

What could not be compared never counts as passed: it has an outcome and an exit code of its own.
"""

import json
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from labeld.cli.reference_scores import ReferenceScore, tolerance
from labeld.config.precision import AskedPrecisions
from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError, LabeldError, ModelBrokenError
from labeld.interface import Interface
from labeld.lifecycle.loader import named
from labeld.lifecycle.model import LoadOptions, Model, load_model
from labeld.repository.resolver import ModelLocation, Resolver
from labeld.repository.resolver import Progress as OnBytes
from labeld.scoring import apply, rank
from labeld.service.build import load_options, open_resolver

Outcome = Literal["PASS", "FAIL", "NOT REACHED"]

FAILED, NOT_REACHED = 1, 3
"""Exit codes. It is 0 only when every score was compared and passed."""

TEXT_SHOWN = 40
"""Characters of a text in the table."""

ROWS_SHOWN = 20
"""Comparisons of a model that are shown one by one; of more only those that did not pass."""

NO_TERMINAL = 200
"""Characters of a line where there is no terminal to fit in."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published score beside ours."""

    model: str
    text: str
    pair: str | None
    function_to_apply: str | None
    label: str
    published: str
    """With the digits that were published."""
    tolerance: float
    ours: float | None
    """None where there is no finite score of this label."""
    difference: float | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Verified:
    """The comparison of one model's scores with those published."""

    model: str
    revision: str | None
    """None when there was nothing to compare with."""
    source: Literal["the Hub", "a folder"] | None
    reason: str | None
    """The reason for which nothing was compared; None if it was."""
    comparisons: tuple[Comparison, ...]


def verify_models(ids: Sequence[str], known: Sequence[ReferenceScore], settings: Settings, *, as_json: bool) -> int:
    """Compares known scores, of all models or of these, with ours; prints the result and returns the exit code."""
    found = _verify_each(_chosen(known, ids), settings)
    outcomes = [one.outcome for model in found for one in model.comparisons]
    passed, failed, not_reached = outcomes.count("PASS"), outcomes.count("FAIL"), outcomes.count("NOT REACHED")
    counts = {"passed": passed, "failed": failed, "not_reached": not_reached}
    if as_json:
        whole = {"models": [asdict(model) for model in found], **counts, "verified": passed == len(outcomes)}
        print(json.dumps(whole, ensure_ascii=False, indent=2))  # noqa: T201
    else:
        _print(found, counts)
    return FAILED if failed else NOT_REACHED if not_reached else 0


def _chosen(known: Sequence[ReferenceScore], ids: Sequence[str]) -> dict[str, list[ReferenceScore]]:
    """The answers of each model that was asked for."""
    by_model: dict[str, list[ReferenceScore]] = {}
    for answer in known:
        by_model.setdefault(answer.model, []).append(answer)
    for model_id in ids:
        if model_id not in by_model:
            raise InvalidRequestError(f"No answers of {model_id} are known, but of {', '.join(by_model)}.")
    return {model_id: by_model[model_id] for model_id in dict.fromkeys(ids or by_model)}


def _verify_each(chosen: dict[str, list[ReferenceScore]], settings: Settings) -> list[Verified]:
    """Results of each model, one in memory at a time, in float32 whatever the settings say, as published scores are."""
    options = replace(load_options(settings), precisions=AskedPrecisions("float32"))
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    found = []
    with (
        closing(open_resolver(settings, "any")) as resolver,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        for model_id, answers in chosen.items():
            task = progress.add_task(escape(model_id), total=None)

            def on_bytes(done: int, total: int, task: Any = task) -> None:
                progress.update(task, completed=done, total=total)

            found.append(_verify(model_id, answers, resolver, options, on_bytes))
            progress.update(task, completed=1, total=1)
    return found


def _verify(
    model_id: str, answers: Sequence[ReferenceScore], resolver: Resolver, options: LoadOptions, on_bytes: OnBytes
) -> Verified:
    try:
        location = resolver.fetch(model_id, on_bytes)
    except ModelBrokenError as error:
        return _nothing(model_id, answers, error, "FAIL")
    except LabeldError as error:
        return _nothing(model_id, answers, error, "NOT REACHED")
    try:
        return _compare(model_id, answers, location, options)
    except LabeldError as error:
        return _nothing(model_id, answers, error, "FAIL")
    finally:
        resolver.release(location)


def _nothing(model_id: str, answers: Sequence[ReferenceScore], error: LabeldError, outcome: Outcome) -> Verified:
    rows = (row for answer in answers for row in _rows(answer, {}, outcome))
    return Verified(model_id, None, None, error.sentence(Interface.COMMAND_LINE), tuple(rows))


def _compare(
    model_id: str, answers: Sequence[ReferenceScore], location: ModelLocation, options: LoadOptions
) -> Verified:
    model: Model = named(model_id, load_model, model_id, location.folder, options, location.commit)
    try:
        rows = tuple(row for answer in answers for row in _rows(answer, _scores(model, answer), "FAIL"))
    finally:
        model.engine.close()
    return Verified(model_id, model.revision, "a folder" if location.commit is None else "the Hub", None, rows)


def _scores(model: Model, answer: ReferenceScore) -> dict[str, float]:
    """Our score by lower-cased label, since the case of labels has changed in published configs."""
    (logits,) = model.engine.run(model.encoder.encode([answer.text], answer.parameters))
    function = answer.parameters.function_to_apply or model.config.default_function
    return {label.casefold(): score for label, score in rank(apply(logits, function), model.config.labels)}


def _rows(answer: ReferenceScore, scores: dict[str, float], without: Outcome) -> list[Comparison]:
    """A comparison for each published score; `without` is its outcome where we have none."""
    (text, pair), function = answer.text, answer.parameters.function_to_apply
    rows = []
    for label, published in answer.scores.items():
        row = partial(Comparison, answer.model, text, pair, function, label, str(published), tolerance(published))
        ours = scores.get(label.casefold(), math.nan)
        if math.isfinite(ours):
            difference = abs(ours - float(published))
            rows.append(row(ours, difference, "PASS" if difference <= tolerance(published) else "FAIL"))
        else:
            rows.append(row(None, None, without))
    return rows


def _summary(comparisons: Sequence[Comparison]) -> str:
    """The result of more comparisons than are shown."""
    passed = [one for one in comparisons if one.outcome == "PASS"]
    largest = max((one.difference for one in comparisons if one.difference is not None), default=math.nan)
    return f"{len(passed)} of {len(comparisons)} scores passed; the largest difference is {largest:.1e}."


def _print(found: Sequence[Verified], counts: dict[str, int]) -> None:
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=NO_TERMINAL)
    for model in found:
        compared = f"compared at revision {model.revision}, from {model.source}."
        heading = compared if model.revision else f"nothing was verified. {model.reason}"
        console.print(f"{model.model}: {heading}", markup=False, soft_wrap=True)
        table = Table("text", box=None)
        for name in ("label", "published", "ours", "difference", "outcome"):
            table.add_column(name, no_wrap=True, justify="right" if name in {"ours", "difference"} else "left")
        shown = model.comparisons
        if len(shown) > ROWS_SHOWN:
            shown = tuple(one for one in shown if one.outcome != "PASS")[:ROWS_SHOWN]
        for one in shown:
            text = one.text if one.pair is None else f"{one.text} / {one.pair}"
            text = text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 1]}…"
            numbers = ("-", "-") if one.ours is None else (f"{one.ours:.9f}", f"{one.difference:.1e}")
            table.add_row(*map(escape, (text, one.label, one.published, *numbers, one.outcome)))
        if shown:
            console.print(table)
        if len(shown) < len(model.comparisons):
            console.print(_summary(model.comparisons), soft_wrap=True)
    if counts["not_reached"]:
        console.print("What was not reached was not compared: nothing is known of it.", soft_wrap=True)
    console.print(
        f"{sum(counts.values())} published scores: {counts['passed']} passed, {counts['failed']} failed, "
        f"{counts['not_reached']} not reached.",
        soft_wrap=True,
    )
