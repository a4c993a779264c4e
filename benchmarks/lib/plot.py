"""Pictures of figures as SVG: bars with ranges, curves, and bars of stacked parts; light and dark, no library."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Literal, NamedTuple

WIDTH = 760
MARGIN = 16
LINE = 20
"""Height of a line of text."""
PLOT = 260
"""Height of the field of curves."""
OURS = "labeld"
"""A row or a series whose name begins so stands out."""
CHARACTER = 6.8
"""Width of a character, about."""
COLOURS = (
    "#2563eb",
    "#d97706",
    "#059669",
    "#9333ea",
    "#dc2626",
    "#0891b2",
    "#65a30d",
    "#be185d",
    "#78716c",
    "#1e3a8a",
    "#fbbf24",
)
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2937 }
.title { font-size: 15px; font-weight: 600 }
.faint { fill: #6b7280 }
.ours { font-weight: 600 }
.paper { fill: #ffffff }
.grid { stroke: #e5e7eb }
.range { stroke: #1f2937; stroke-width: 1.5 }
.other { fill: #94a3b8 }
.curve { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb } .faint { fill: #9ca3af } .paper { fill: #111827 } .grid { stroke: #374151 }
  .range { stroke: #e5e7eb } .other { fill: #64748b }
}
"""

Row = tuple[str, float, float, float]
"""Name, median, least, most."""


class _Scale(NamedTuple):
    """Values -> places."""

    least: float
    most: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        least, most = (math.log(self.least), math.log(self.most)) if self.log else (self.least, self.most)
        share = ((math.log(value) if self.log else value) - least) / ((most - least) or 1.0)
        return round(self.begin + share * (self.end - self.begin), 1)


def bars(title: str, rows: Sequence[Row], unit: str) -> str:
    """A horizontal bar for each row, as long as its median, with its value and a line from its least to its most."""
    left = MARGIN + 12 + CHARACTER * max(len(name) for name, *_ in rows)
    scale = _Scale(0.0, max(most for *_, most in rows) or 1.0, left, WIDTH - MARGIN - 90)
    parts = []
    for index, (name, median, least, most) in enumerate(rows):
        top = MARGIN + 2 * LINE + index * 1.5 * LINE
        middle, ours = top + LINE / 2, name.startswith(OURS)
        fill = f'style="fill:{COLOURS[0]}"' if ours else 'class="other"'
        parts += [
            _text(left - 8, middle + 4, name, "ours" if ours else "", anchor="end"),
            f'<rect x="{left}" y="{top}" width="{scale(median) - left:.1f}" height="{LINE}" rx="2" {fill}/>',
            _text(max(scale(most), scale(median)) + 8, middle + 4, number(median), "ours" if ours else ""),
        ]
        if most > least:
            parts.append(_line(scale(least), middle, scale(most), middle, "range"))
    height = MARGIN + 2 * LINE + len(rows) * 1.5 * LINE + MARGIN
    return _svg(f"{title} ({unit})", height, parts)


def stacked(title: str, rows: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """A horizontal bar for each row, divided into its parts; the legend names the parts in their order."""
    names = list(dict.fromkeys(name for parts in rows.values() for name in parts))
    left = MARGIN + 12 + CHARACTER * max(map(len, rows))
    scale = _Scale(0.0, max(sum(parts.values()) for parts in rows.values()), left, WIDTH - MARGIN - 90)
    legend, top = _legend(names, MARGIN + 2 * LINE)
    shapes = [*legend]
    for name, parts in rows.items():
        shapes.append(_text(left - 8, top + LINE / 2 + 4, name, anchor="end"))
        before = 0.0
        for part, value in parts.items():
            begin, before = before, before + value
            fill = f'style="fill:{_colour(names.index(part))}"'
            hint = f"<title>{escape(part)}: {number(value)} {escape(unit)}</title>"
            width = scale(before) - scale(begin)
            shapes.append(
                f'<rect x="{scale(begin)}" y="{top}" width="{width:.1f}" height="{LINE}" {fill}>{hint}</rect>'
            )
        shapes.append(_text(scale(before) + 8, top + LINE / 2 + 4, number(before)))
        top += 1.5 * LINE
    return _svg(f"{title} ({unit})", top + MARGIN, shapes)


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
    series = {name: [point for point in line if _has_place(point, log)] for name, line in series.items()}
    points = [point for line in series.values() for point in line]
    legend, top = _legend(list(series), MARGIN + 2 * LINE)
    top += LINE
    across = _axis([point[0] for point in points], MARGIN + 56, WIDTH - MARGIN - 24, log="x" in log)
    down = _axis([point[1] for point in points], top + PLOT, top, log="y" in log)
    parts = [*legend, _text(MARGIN, top - 10, y, "faint")]
    for tick in _ticks(down):
        parts += [
            _line(across.begin, down(tick), across.end, down(tick), "grid"),
            _text(across.begin - 8, down(tick) + 4, number(tick), "faint", anchor="end"),
        ]
    parts += [_text(across(tick), down.begin + LINE, number(tick), "faint", anchor="middle") for tick in _ticks(across)]
    parts.append(_text(across.end, down.begin + 2 * LINE, x, "faint", anchor="end"))
    for index, line in enumerate(series.values()):
        places = " ".join(f"{across(one)},{down(other)}" for one, other in line)
        parts.append(f'<polyline class="curve" style="stroke:{_colour(index)}" points="{places}"/>')
        parts += [
            f'<circle cx="{across(one)}" cy="{down(other)}" r="3" style="fill:{_colour(index)}"/>'
            for one, other in line
        ]
    return _svg(title, top + PLOT + 2 * LINE + MARGIN, parts)


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _has_place(point: tuple[float, float], log: str) -> bool:
    return all(math.isfinite(value) and (value > 0 or axis not in log) for axis, value in zip("xy", point, strict=True))


def _axis(values: Sequence[float], begin: float, end: float, *, log: bool) -> _Scale:
    """A scale on which all values are: from 0, or from the least one if logarithmic, to a round number."""
    values = values or [1.0]
    least, most = (min(values), max(values)) if log else (0.0, max(values))
    step = 10 ** math.floor(math.log10(most or 1.0))
    return _Scale(
        least,
        next(step * factor for factor in (1, 1.5, 2, 3, 5, 7.5, 10) if step * factor >= most) if not log else most,
        begin,
        end,
        log,
    )


def _ticks(scale: _Scale) -> list[float]:
    """Round numbers on a scale."""
    if not scale.log:
        return [scale.most * part / 5 for part in range(6)]
    decades = range(math.floor(math.log10(scale.least)), math.ceil(math.log10(scale.most)) + 1)
    few = scale.most / scale.least < 200
    found = [factor * 10.0**decade for decade in decades for factor in ((1, 2, 5) if few else (1,))]
    return [one for one in found if scale.least <= one <= scale.most]


def _legend(names: Sequence[str], top: float) -> tuple[list[str], float]:
    """A line or more of names with their colours, and where the next thing may stand."""
    parts, left = [], float(MARGIN)
    for index, name in enumerate(names):
        width = 24 + CHARACTER * len(name) + 12
        if left + width > WIDTH - MARGIN:
            left, top = float(MARGIN), top + LINE
        parts += [
            f'<rect x="{left:.1f}" y="{top}" width="12" height="12" rx="2" style="fill:{_colour(index)}"/>',
            _text(left + 18, top + 11, name, "ours" if name.startswith(OURS) else ""),
        ]
        left += width
    return parts, top + 1.5 * LINE


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _svg(title: str, height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}</style>\n<rect class="paper" width="100%" height="100%"/>'
    )
    return "\n".join([head, _text(MARGIN, MARGIN + LINE / 2 + 4, title, "title"), *parts, "</svg>"]) + "\n"
