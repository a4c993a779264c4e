"""An evaluation as a report: tables and sentences, and for HTML the pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from labeld.evaluation.bootstrap import LEVEL
from labeld.evaluation.evaluate import Found
from labeld.evaluation.paired import Difference
from labeld.evaluation.pictures import pictures
from labeld.evaluation.result import Comparison, Evaluation, Interval, Mistake, ModelResult
from labeld.evaluation.statistics import MACRO
from labeld.reports.page import Code, Page, Paragraph, Part, Section, Table

TITLES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "avg. precision",
}
UNUSABLE_SHOWN = 20
"""Rows that were left out and are listed, at most; all are in the JSON."""
CONFUSION_SHOWN = 12
"""Labels of a confusion matrix as a table, at most."""
UNLIKELY = 0.05
"""The p-value below which a difference is called more than chance."""
LONGEST_TEXT = 400
"""Characters of a text in the table of mistakes, at most."""


def page(found: Found, *, drawn: bool) -> Page:
    """The report of an evaluation; with `drawn` it has pictures and mistakes, for HTML."""
    evaluation = found.evaluation
    result = evaluation.result
    texts = "1 text" if evaluation.texts == 1 else f"{evaluation.texts:,} texts"
    lead = (
        f"{texts} of {', '.join(evaluation.files)}; revision {result.revision[:12]} in "
        f"{result.precision}. Intervals hold {LEVEL:.0%} of {evaluation.resamples:,} resamples of the texts (seed "
        f"{evaluation.seed})."
    )
    sections = [
        Section("Rows that were left out", [*_unusable(evaluation)]),
        Section("How labels were read", [Paragraph(one) for one in evaluation.notes]),
        Section("Metrics", [_overall(result), *_unsure(evaluation)]),
        Section("Labels", [_labels(result)]),
        Section("Pictures", pictures(found) if drawn else []),
        Section("Confusion", [*_confusion(result)]),
        Section(f"Against {evaluation.against.result.model}" if evaluation.against else "", [*_against(evaluation)]),
        Section("Calibration", [*_calibration(evaluation)]),
        Section("Thresholds", [*_thresholds(evaluation)]),
        Section("For the configuration file", [Code(evaluation.configuration)] if evaluation.configuration else []),
        Section("The surest mistakes", [_mistakes(evaluation.mistakes)] if drawn and evaluation.mistakes else []),
    ]
    return Page(f"Evaluation of {result.model}", lead, [one for one in sections if one.parts])


def _unusable(evaluation: Evaluation) -> Iterator[Part]:
    rows = evaluation.unusable
    if rows:
        more = f" The first {UNUSABLE_SHOWN}:" if len(rows) > UNUSABLE_SHOWN else ""
        what = "1 row has" if len(rows) == 1 else f"{len(rows):,} rows have"
        yield Paragraph(f"{what} no part in these figures.{more}", warns=True)
        yield Table(
            ("file", "line", "reason"),
            [(one.file, str(one.line), one.reason) for one in rows[:UNUSABLE_SHOWN]],
            (1,),
            (2,),
        )


def _overall(result: ModelResult) -> Table:
    kind = "exact match of all labels" if result.multi_label else "share of right texts"
    rows = [("accuracy", *_cells(result.accuracy), kind)]
    over = "of 1 label" if result.macro_labels == 1 else f"mean over {result.macro_labels} labels"
    rows += [(f"macro {TITLES[name]}", *_cells(one), over) for name, one in result.macro.items()]
    rows += [(f"micro {TITLES[name]}", *_cells(one), "over all labels together") for name, one in result.micro.items()]
    scaled = "" if result.temperature == 1.0 else f", at temperature {result.temperature:g}"
    rows.append(("calibration error (ECE)", *_cells(result.ece), f"15 bins; 0 is best{scaled}"))
    return Table(("metric", "value", "95 % interval", "meaning"), rows, (1, 2))


def _unsure(evaluation: Evaluation) -> Iterator[Part]:
    none = [one.label for one in evaluation.result.labels if not one.texts]
    if none:
        shown = ", ".join(none[:10]) + (", …" if len(none) > 10 else "")
        yield Paragraph(f"No text has {'the label' if len(none) == 1 else 'the labels'} {shown}.", warns=True)


def _labels(result: ModelResult) -> Table:
    rows = [
        (one.label, f"{one.texts:,}", f"{one.given:,}", *(_both(one.metrics[name]) for name in MACRO))
        for one in result.labels
    ]
    columns = ("label", "texts", "given", *(TITLES[name] for name in MACRO))
    return Table(columns, rows, tuple(range(1, len(columns))), caption="Each label against all others.")


def _confusion(result: ModelResult) -> Iterator[Part]:
    names = [one.label for one in result.labels]
    if result.multi_label:
        columns = ["label", "neither", "gets it only", "has it only", "has and gets it"]
    elif len(names) <= CONFUSION_SHOWN:
        columns = ["has \\ gets", *names]
    else:
        return
    rows = [(name, *(f"{count:,}" for count in row)) for name, row in zip(names, result.confusion, strict=True)]
    yield Table(columns, rows, tuple(range(1, len(columns))))


def _against(evaluation: Evaluation) -> Iterator[Part]:
    if evaluation.against is None:
        return
    compared: Comparison = evaluation.against
    other, counts = compared.result, compared.mcnemar
    rows = [
        ("accuracy", _value(evaluation.result.accuracy), _value(other.accuracy), *_difference(compared.accuracy)),
        ("macro F1", _value(evaluation.result.macro["f1"]), _value(other.macro["f1"]), *_difference(compared.macro_f1)),
    ]
    columns = ("metric", evaluation.result.model, other.model, "difference", "95 % interval", "p (bootstrap)")
    yield Table(columns, rows, (1, 2, 3, 4, 5))
    yield Paragraph(
        f"Texts that only {evaluation.result.model} gets right: {counts.only_first:,}; only {other.model}: "
        f"{counts.only_second:,}; both: {counts.both:,}; neither: {counts.neither:,}. McNemar's exact test of that: "
        f"p = {counts.p_value:.3g}, so the difference of accuracy "
        f"{'is more than chance' if counts.p_value < UNLIKELY else 'may be chance'}."
    )


def _calibration(evaluation: Evaluation) -> Iterator[Part]:
    found = evaluation.calibration
    if found is None:
        return
    yield Table(
        ("", "before", "after"),
        [
            ("calibration error (ECE)", f"{found.ece_before:.4f}", f"{found.ece_after:.4f}"),
            ("negative log likelihood", f"{found.nll_before:.4f}", f"{found.nll_after:.4f}"),
        ],
        (1, 2),
        caption=f"Temperature {found.temperature:g}; each fifth of the texts with the temperature of the others.",
    )
    if found.reason_against:
        yield Paragraph(found.reason_against, warns=True)


def _thresholds(evaluation: Evaluation) -> Iterator[Part]:
    if not evaluation.thresholds:
        return
    target = evaluation.target_precision
    what = "the best F1" if target is None else f"a precision of {target:g}"
    rows = [
        (one.label, f"{one.value:g}", f"{one.precision:.4f}", f"{one.recall:.4f}", f"{one.f1:.4f}", f"{one.kept:,}")
        if one.reached
        else (one.label, "1", "not reached", "-", "-", f"{one.kept:,}")
        for one in evaluation.thresholds
    ]
    columns = ("label", "threshold", "precision", "recall", "F1", "texts kept")
    yield Table(columns, rows, (1, 2, 3, 4, 5), caption=f"Thresholds for {what}, with their figures on these texts.")


def _mistakes(mistakes: Sequence[Mistake]) -> Table:
    rows = [
        (
            _text(one),
            f"{one.score:.4f}",
            one.label,
            ", ".join(one.truth) or "none",
            f"{Path(one.file).name}:{one.line}",
        )
        for one in mistakes
    ]
    return Table(("text", "score", "of", "has", "row"), rows, numbers=(1,), long=(0,))


def _text(one: Mistake) -> str:
    text = one.text if one.pair is None else f"{one.text} / {one.pair}"
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _value(one: Interval) -> str:
    return "-" if one.value is None else f"{one.value:.4f}"


def _cells(one: Interval) -> tuple[str, str]:
    return _value(one), "-" if one.low is None else f"{one.low:.4f} to {one.high:.4f}"


def _both(one: Interval) -> str:
    return _value(one) if one.low is None else f"{one.value:.3f}\n[{one.low:.3f}, {one.high:.3f}]"


def _difference(one: Difference) -> tuple[str, str, str]:
    return f"{one.value:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", f"{one.p_value:.3g}"
