"""The report of a comparison, as a page that is written as HTML or printed as text."""

from collections.abc import Iterator, Sequence

from labeld.comparison.answers import PeerRanking
from labeld.comparison.result import Comparison, Failure, SideFigures
from labeld.comparison.statistics import Share
from labeld.errors import format_bytes
from labeld.reports.page import Page, Paragraph, Part, Section, Table

LABELS_SHOWN = 3
"""Labels of a ranking in the list of disagreements, at most."""
CHARACTERS_SHOWN = 500
"""Characters of a text, at most; JSON has all."""
FAILURES_SHOWN = 20
"""Rows without an answer that are listed, at most; JSON has all."""


def page_of(result: Comparison, *, disagreements: int, pictures: Sequence[Part] = ()) -> Page:
    """The report, with so many disagreements, at most, and pictures below its figures."""
    model = result.model
    dialect = "" if result.dialect is None else f" (dialect {result.dialect})"
    lead = (
        f"{model.model_id} at {model.revision[:12]} in {model.precision}, compared with {result.against}{dialect} on "
        f"{result.compared} of {result.texts} texts."
    )
    warnings = [Paragraph(one, warns=True) for one in [*result.stopped, *result.notes]]
    sections = [
        Section("Answers", [*warnings, _answers(result), *_flips(result)]),
        Section("Speed and cost", [_speeds(result), _costs(result), *pictures]),
        Section("Texts with another best label", list(_disagreements(result, disagreements))),
    ]
    missing = [*result.bad_rows, *result.ours.failures, *result.theirs.failures]
    if missing:
        sections.append(Section("Rows that were not compared", list(_missing(missing, _has_files(result)))))
    return Page(f"labeld compare {model.model_id}", lead, sections)


def _answers(result: Comparison) -> Table:
    rows: list[tuple[str, str, str]] = []
    if result.agreement is not None:
        rows.append(("equal best label", *_share(result.agreement)))
    if result.order_agreement is not None:
        rows.append(("order of the texts, Kendall's tau", f"{result.order_agreement:.4f}", ""))
    if result.differences is None:
        rows.append(("difference of scores", "not seen", "the peer gives none"))
    else:
        found = result.differences
        values = {"mean": found.mean, "p99": found.p99, "max": found.max}
        rows += [(f"difference of scores, {name}", f"{value:.2g}", "") for name, value in values.items()]
    caption = "A text's difference is that of the label whose scores differ most."
    return Table(("figure", "value", "95 % interval"), rows, numbers=(1, 2), caption=caption)


def _flips(result: Comparison) -> Iterator[Table]:
    if result.flips:
        rows = [
            (
                one.label,
                f"{one.threshold:g}",
                *_share(one.flips),
                str(one.only_ours),
                str(one.flips.count - one.only_ours),
            )
            for one in result.flips
        ]
        columns = ("label", "threshold", "flips", "95 % interval", "only labeld", f"only {result.theirs.name}")
        caption = "Texts whose score reaches the threshold on one side only."
        yield Table(columns, rows, numbers=range(1, len(columns)), caption=caption)


def _speeds(result: Comparison) -> Table:
    rows = []
    for side in (result.ours, result.theirs):
        for one in side.speeds:
            tokens = "not seen" if one.tokens_per_second is None else f"{one.tokens_per_second:,.0f}"
            latency = one.latency_ms
            times = [f"{value:.1f}" for value in (latency.p50, latency.p99, latency.max)]
            rows.append(
                (side.name, str(one.connections), str(one.texts), f"{one.texts_per_second:,.1f}", tokens, *times)
            )
    columns = ("side", result.unit, "texts", "texts/s", "tokens/s", "p50 ms", "p99 ms", "max ms")
    caption = (
        "One text a request, both sides asked in turn by the same client, whose own work is in the times. "
        "Tokens are those of the model's tokenizer as labeld counts them."
        if result.dialect is not None
        else "Both sides in turn in one process; a time is that of a whole list of texts."
    )
    return Table(columns, rows, numbers=range(1, len(columns)), caption=caption)


def _costs(result: Comparison) -> Table:
    rows = [
        (
            side.name,
            _memory(side),
            "not known" if side.cores is None else str(side.cores),
            _cost(side, result.core_hour),
        )
        for side in (result.ours, result.theirs)
    ]
    price = f", at {result.core_hour:g} for a core-hour" if result.core_hour is not None else ""
    caption = f"The cost is that of the cores it may use, at the highest rate above{price}."
    return Table(("side", "memory", "cores it may use", "cost of 10^9 texts"), rows, numbers=(2, 3), caption=caption)


def _memory(side: SideFigures) -> str:
    return side.memory_of if side.memory_bytes is None else f"{format_bytes(side.memory_bytes)}: {side.memory_of}"


def _cost(side: SideFigures, core_hour: float | None) -> str:
    if core_hour is None:
        return "not asked: --core-hour"
    return "cores not known: --against-cores" if side.cost_per_billion is None else f"{side.cost_per_billion:,.0f}"


def _disagreements(result: Comparison, most: int) -> Iterator[Part]:
    found = result.disagreements
    if not found:
        yield Paragraph("There is none." if result.agreement is not None else "The model has one label.")
        return
    where = _has_files(result)
    rows = [
        (
            _place(one.file, one.line, is_one_file=not where),
            "\n".join(_shown(part) for part in (one.text, one.pair) if part is not None),
            _ranking(one.ours),
            _ranking(one.theirs),
        )
        for one in found[:most]
    ]
    more = f" {most} of {len(found)}; --json has all." if len(found) > most else ""
    yield Table(
        ("row", "text", "labeld", result.theirs.name),
        rows,
        numbers=(0,) if not where else (),
        long=(1,),
        caption=f"Those of which labeld is surest first.{more}",
    )


def _missing(failures: Sequence[Failure], has_files: bool) -> Iterator[Part]:  # noqa: FBT001  # private
    rows = [(_place(one.file, one.line, is_one_file=not has_files), one.reason) for one in failures[:FAILURES_SHOWN]]
    more = f"{FAILURES_SHOWN} of {len(failures)}; --json has all." if len(failures) > FAILURES_SHOWN else ""
    yield Table(("row", "reason"), rows, caption=more, long=(1,))


def _has_files(result: Comparison) -> bool:
    """Whether rows are of several files, so that each is named with its own."""
    return len(result.files) > 1


def _place(file: str, line: int, *, is_one_file: bool) -> str:
    return str(line) if is_one_file else f"{file}:{line}"


def _share(one: Share) -> tuple[str, str]:
    """The share with its counts, and its interval."""
    return f"{one.share:.2%} ({one.count} of {one.of})", f"{one.low:.2%} to {one.high:.2%}"


def _shown(text: str) -> str:
    return text if len(text) <= CHARACTERS_SHOWN else f"{text[: CHARACTERS_SHOWN - 1]}…"


def _ranking(ranking: PeerRanking) -> str:
    shown = [one.label if one.score is None else f"{one.label} {one.score:.4f}" for one in ranking[:LABELS_SHOWN]]
    return "\n".join([*shown, *(["…"] if len(ranking) > LABELS_SHOWN else [])]) or "none"
