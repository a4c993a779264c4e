"""The tables of a run: on the terminal, and as Markdown for the README; both say the same."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.comparison.ratios import BARS, GROUPS, MAIN, figures, throughput
from benchmarks.comparison.records import Record, named, of_kind, opened, rate, rates
from benchmarks.comparison.schedule import MANY, ONE, PEER, SHARES
from benchmarks.lib.report import Figure, print_table

DASH = "-"


class Table(NamedTuple):
    """Cells of text; all columns but the first are numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(lines: Sequence[Record]) -> list[Table]:
    """The ratios by group, every bar, every peer of every model, and who could not take part."""
    found = [_ratios(lines), _bars(lines)]
    models = dict.fromkeys(one["model"] for one in of_kind(lines, "peer"))
    found += [_peers(lines, model) for model in models]
    found += [_latencies(lines, model) for model in models]
    found.append(_absent(lines))
    return [one for one in found if one.rows]


def print_all(lines: Sequence[Record], console: Console) -> None:
    """On the terminal."""
    for fact in facts(lines):
        console.print(fact, highlight=False)
    for one in tables(lines):
        table = RichTable(*one.columns, title=one.title, title_justify="left")
        for row in one.rows:
            table.add_row(*row)
        console.print(table)
    print_table(figures(lines), console)


def markdown(lines: Sequence[Record]) -> str:
    """For a README."""
    parts = ["\n".join(facts(lines))]
    for one in tables(lines):
        head = f"|{'|'.join(f' {column} ' for column in one.columns)}|"
        rule = f"|---|{'--:|' * (len(one.columns) - 1)}"
        rows = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in one.rows)
        parts.append(f"**{one.title}**\n\n{head}\n{rule}\n{rows}")
    return "\n\n".join(parts) + "\n"


def facts(lines: Sequence[Record]) -> list[str]:
    """Where and when, and whether the figures count."""
    [machine] = of_kind(lines, "machine")
    taken = f"{machine['date'][:10]}, commit {machine['commit'][:12]}, {machine['cores']} cores of {machine['cpu']}"
    found = [f"{taken}; {machine['rounds']} rounds of {machine['seconds']:g} s."]
    ends = of_kind(lines, "end")
    void = ends[0]["void"] if ends else ["the run was interrupted"]
    return [*found, *(f"VOID: {reason}." for reason in void)]


def _ratios(lines: Sequence[Record]) -> Table:
    peers = [one for one in of_kind(lines, "peer", MAIN) if not one["in_process"]]
    rows = []
    for precision, bars in BARS.items():
        cells = [_cell(throughput(peers, precision, group)) if group in bars else DASH for group in GROUPS]
        rows.append([f"labeld {precision}", *cells])
    return Table(
        f"Requests per second, labeld's divided by the peer's; {MANY} connections, mixed lengths, DistilBERT's shape; "
        "the strongest peer of each group, and the bar",
        ["", *(group.name for group in GROUPS)],
        rows if peers else [],
    )


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return DASH
    return f"{figure.value:.2f}x ({'bar' if figure.passed else 'MISSED:'} {figure.bar:g}x)"


def _bars(lines: Sequence[Record]) -> Table:
    """The other bars."""
    rest = [one for one in figures(lines) if one.name.partition(" / ")[0] not in BARS]
    rows = []
    for one in rest:
        sign = "<=" if one.keep == "at most" else ">="
        outcome = "kept" if one.passed else "MISSED"
        rows.append([one.name, f"{one.value:.3g}", f"{sign} {one.bar:.3g}", outcome, one.detail.get("against", "")])
    return Table("The other bars", ["", "value", "bar", "", "strongest or worst against"], rows)


def _peers(lines: Sequence[Record], model: str) -> Table:
    """Every peer's figures and, on the same line, labeld's in the same precision from the same minutes."""
    rows = []
    for one in of_kind(lines, "labeld", model)[-3:]:
        row = [f"**labeld, {one['precision']}**", *[DASH] * 7, f"{one['difference']:.1g}", f"{one['peak_mb']:.0f}"]
        rows.append([*row, f"{one['first_answer_s']:.1f}", ""])
    for one in of_kind(lines, "peer", model):
        main = "pairs" if rates(one, PEER, "pairs", MANY) else "mixed"
        loads = ((main, MANY), (main, ONE), ("wide", MANY))
        row = [f"{named(one)}{' (in process)' if one['in_process'] else ''}"]
        row.append(_spread(rates(one, PEER, main, MANY)))
        row.append(_spread(rates(one, one["precision"], main, MANY)))
        row.append(DASH)  # replaced below
        ratios = [_ratio(rate(one, one["precision"], *load), rate(one, PEER, *load)) for load in loads]
        row[3] = ratios[0]
        row += [_number(rate(one, PEER, main, ONE)), ratios[1], _number(rate(one, PEER, "wide", MANY)), ratios[2]]
        row += [f"{one['difference']:.1g}", f"{one['peak_mb']:.0f}"]
        start = one.get("first_answer_s")
        row.append(DASH if start is None else f"{start:.1f}")
        row.append(", ".join(f"{name} {version}" for name, version in one["versions"].items()))
        rows.append(row)
    columns = ["", f"requests/s at {MANY}", "labeld", "x", f"at {ONE}", "x", "to 512 tokens", "x", "scores off"]
    return Table(f"{model}: every peer", [*columns, "peak MB", "first answer s", "versions"], rows)


def _latencies(lines: Sequence[Record], model: str) -> Table:
    rows = []
    for one in of_kind(lines, "peer", model):
        if one["open"]:
            row = [named(one)]
            for share in SHARES:
                row += [_latency(opened(one, who, share)) for who in (PEER, one["precision"])]
            rows.append(row)
    columns = [f"{who} at {share:.0%}" for share in SHARES for who in ("peer", "labeld")]
    title = f"{model}: open loop, p50 / p99 in ms from the scheduled time, at shares of the peer's capacity"
    return Table(title, ["", *columns], rows)


def _absent(lines: Sequence[Record]) -> Table:
    rows = [
        [f"{one['title']}, {one['variant']}, {one['precision']}, {one['model']}", " ".join(one["reason"].split())]
        for one in of_kind(lines, "absent")
    ]
    return Table("Not measured", ["", "reason"], rows)


def _latency(loop: Record | None) -> str:
    if loop is None or loop["p50_ms"] is None:
        return DASH
    failed = loop["refused"] + loop["errors"]
    shown = f"{loop['p50_ms']:.0f} / {loop['p99_ms']:.0f}"
    return f"{shown}, {failed} refused or lost" if failed else shown


def _spread(found: Sequence[float]) -> str:
    if not found:
        return DASH
    middle = median(found)
    return f"{_number(middle)} ({_number(min(found))} to {_number(max(found))})"


def _ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours and theirs else DASH


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
