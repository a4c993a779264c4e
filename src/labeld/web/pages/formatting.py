"""Numbers as people read them, by their unit; `static/status.js` formats them alike."""

from typing import Literal

Unit = Literal["number", "rate", "seconds", "share", "bytes"]

NOTHING = "\N{EN DASH}"
"""Shown in place of a number that is not known."""


def shown(value: float | None, unit: Unit) -> str:
    """A number with three digits and its unit; a dash for None. Seconds and bytes choose a prefix."""
    if value is None:
        return NOTHING
    match unit:
        case "rate":
            return f"{_short(value)} /s"
        case "seconds":
            return f"{_short(value * 1000)} ms" if value < 1 else f"{_short(value)} s"
        case "share":
            return f"{value * 100:.0f} %"
        case "bytes":
            return f"{_short(value / 1e9)} GB" if value >= 1e9 else f"{_short(value / 1e6)} MB"
        case "number":
            return _short(value)


def duration(seconds: float) -> str:
    """A duration with its one or two largest units: `3 s`, `12 min`, `5 h 20 min`, `3 days 4 h`."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} day{'s' if days > 1 else ''} {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def _short(value: float) -> str:
    if value >= 99.95 or value == round(value):
        return f"{round(value):,}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
