"""Pictures of a comparison: the rates and the latencies of both sides, drawn by matplotlib."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from labeld.comparison.result import Comparison, Speed
from labeld.reports.page import Picture
from labeld.reports.pictures import SERIES, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pictures_of(result: Comparison) -> list[Picture]:
    """The rate and the latency of each pass; raises ModuleNotFoundError without matplotlib."""
    unit = result.unit
    return [
        _bars(result, "rates", f"texts per second, by {unit}", lambda one: one.texts_per_second),
        _bars(result, "latency", f"99th percentile of the latency in ms, by {unit}", lambda one: one.latency_ms.p99),
    ]


def _bars(result: Comparison, name: str, what: str, value: Callable[[Speed], float]) -> Picture:
    sides = (result.ours, result.theirs)
    loads = sorted({one.connections for side in sides for one in side.speeds})
    said = [f"{side.name} {value(one):,.1f} at {one.connections}" for side in sides for one in side.speeds]

    def plot(figure: "Figure") -> None:
        axes = figure.subplots()
        for number, side in enumerate(sides):
            places = [loads.index(one.connections) + (number - 0.5) * 0.38 for one in side.speeds]
            bars = axes.bar(places, [value(one) for one in side.speeds], 0.36, color=SERIES[number], label=side.name)
            axes.bar_label(bars, fmt=lambda height: f"{height:,.0f}" if height >= 10 else f"{height:.1f}", padding=2)
        axes.set_xticks(range(len(loads)), [str(load) for load in loads])
        axes.set_xlabel(result.unit)
        axes.grid(visible=False, axis="x")
        axes.margins(y=0.15)
        figure.legend(loc="outside upper left", ncols=2)

    caption = f"{what[0].upper()}{what[1:]}."
    return Picture(draw(name, plot), f"{caption} {'; '.join(said)}.", caption)
