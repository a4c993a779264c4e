"""Plots as SVG, drawn by matplotlib: bars with ranges, stacked bars, and curves; readable in light and dark.

The bytes depend on the data and on matplotlib's version only: no date, no random ids, and text stays text.
"""

import math
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

WIDTH, BAR_WIDTH = 7.5, 4.5
"""Inches, of 96 pixels each in a browser, of the field of curves and of bars, whose names are beside it."""
ROW, PLOT = 0.29, 3.2
"""Inches of a bar with the space around it, and of the field of curves; titles and axes are beside them."""
OURS = "labeld"
"""A row or a series whose name begins so stands out."""
PAPER, INK, FAINT, GRID, OTHER = "#ffffff", "#1f2937", "#6b7280", "#e5e7eb", "#94a3b8"
DARK = {PAPER: "#111827", INK: "#f3f4f6", FAINT: "#9ca3af", GRID: "#374151", OTHER: "#64748b"}
"""The colours by which a reader who prefers dark pages sees them."""
COLOURS = (
    "#3b82f6",
    "#d97706",
    "#059669",
    "#a855f7",
    "#ef4444",
    "#0891b2",
    "#65a30d",
    "#db2777",
    "#78716c",
    "#6366f1",
    "#fbbf24",
)
"""Of parts and series, in their order; each can be seen on both papers."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "labeld",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.facecolor": PAPER,
    "axes.labelcolor": FAINT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "legend.frameon": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}

Row = tuple[str, float, float, float]
"""Name, median, least, most."""


@mpl.rc_context(STYLE)
def bars(title: str, rows: Sequence[Row], unit: str) -> str:
    """A horizontal bar for each row, as long as its median, with its value and a line from its least to its most."""
    axes = _axes(f"{title} ({unit})", BAR_WIDTH, ROW * len(rows))
    for place, (name, median, least, most) in enumerate(rows):
        axes.barh(place, median, height=0.66, color=COLOURS[0] if name.startswith(OURS) else OTHER)
        if most > least:
            axes.hlines(place, least, most, color=INK, linewidth=1.2)
        _value(axes, name, place, max(most, median), median)
    _name_rows(axes, [name for name, *_ in rows])
    return _svg(axes)


@mpl.rc_context(STYLE)
def stacked(title: str, rows: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """A horizontal bar for each row, divided into its parts; the legend names the parts in their order."""
    axes = _axes(f"{title} ({unit})", BAR_WIDTH, ROW * len(rows))
    ends = [0.0] * len(rows)
    for index, part in enumerate(dict.fromkeys(part for parts in rows.values() for part in parts)):
        values = [parts.get(part, 0.0) for parts in rows.values()]
        axes.barh(range(len(rows)), values, left=ends, height=0.66, color=_colour(index), label=part)
        ends = [end + value for end, value in zip(ends, values, strict=True)]
    for place, (name, end) in enumerate(zip(rows, ends, strict=True)):
        _value(axes, name, place, end, end)
    _name_rows(axes, list(rows))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=5, handlelength=1.0)
    return _svg(axes)


@mpl.rc_context(STYLE)
def curves(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x: str,
    y: str,
    log: Literal["", "x", "y", "xy"] = "",
) -> str:
    """A curve through the points of each series; `x` and `y` name the axes, those in `log` are logarithmic.

    Points without a place there (NaN, or 0 on a logarithmic axis) are left out.
    """
    axes = _axes(title, WIDTH, PLOT)
    for index, (name, points) in enumerate(series.items()):
        line = [point for point in points if _has_place(point, log)]
        width = 2.5 if name.startswith(OURS) else 1.5
        axes.plot(*_columns(line), color=_colour(index), linewidth=width, marker="o", markersize=4, label=name)
    axes.set_xscale("log" if "x" in log else "linear")
    axes.set_yscale("log" if "y" in log else "linear")
    if "x" not in log:
        axes.set_xlim(left=0)
    if "y" not in log:
        axes.set_ylim(bottom=0)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        _label_ticks(axis, log=name in log)
    axes.set(xlabel=x, ylabel=y)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    return _svg(axes)


def save(plots: Mapping[str, str], results: Path) -> None:
    """Writes each plot beside the file of results that it is drawn from."""
    for name, svg in plots.items():
        results.with_name(f"{results.stem}-{name}.svg").write_text(svg, encoding="utf-8")


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _has_place(point: tuple[float, float], log: str) -> bool:
    return all(math.isfinite(value) and (value > 0 or axis not in log) for axis, value in zip("xy", point, strict=True))


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _axes(title: str, width: float, height: float) -> Axes:
    """An empty field of this size in inches, in a figure of its own."""
    axes = Figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    axes.set_title(_plain(title))
    axes.tick_params(length=0)
    return axes


def _value(axes: Axes, name: str, place: int, end: float, value: float) -> None:
    """The value of a row, behind the end of its bar."""
    weight = "bold" if name.startswith(OURS) else "normal"
    axes.annotate(number(value), (end, place), (5, 0), textcoords="offset points", va="center", fontweight=weight)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """The names of the rows, the first on top, and no other axis: each bar has its value."""
    axes.set_yticks(range(len(names)), [_plain(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name.startswith(OURS) else "normal")


def _label_ticks(axis: Axis, *, log: bool) -> None:
    """Round numbers without exponents; all of a decade's 1, 2 and 5 where the axis has few decades."""
    axis.set_major_formatter(lambda value, _: number(value))
    if log:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())


def _plain(text: str) -> str:
    """Text in which a dollar is a dollar, not the beginning of a formula."""
    return text.replace("$", r"\$")


def _svg(axes: Axes) -> str:
    """The figure, as large as what is drawn."""
    out = StringIO()
    assert isinstance(axes.figure, Figure)
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    axes.figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.15, metadata=nothing)
    rules = "".join(
        f"[style*='{kind}: {light}'] {{ {kind}: {dark} !important }}\n"
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    return out.getvalue().replace(
        "</defs>", f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>\n</defs>", 1
    )
