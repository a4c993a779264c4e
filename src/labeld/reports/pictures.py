"""Pictures as SVG within a page, in the page's own colours: drawn once, light and dark.

matplotlib draws with the colours below, each of which then becomes the CSS variable of its name.
"""

import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

Svg = NewType("Svg", str)
"""An svg element without anything that runs or loads."""

TEXT, QUIET, LINE, PANEL = "#1c2422", "#56605c", "#dfe1dc", "#fefefe"
SERIES = ("#0b6a75", "#b4551a", "#6a4fb3", "#3f7d2c", "#a8326b", "#7a6a12")
"""Colours of lines and bars, by their order."""
VARIABLES = {TEXT: "--text", QUIET: "--quiet", LINE: "--line", PANEL: "--panel"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, 1)
}
STYLE: "dict[RcKeyType, Any]" = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a label may have dollar signs
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": TEXT,
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "legend.edgecolor": LINE,
    "legend.facecolor": PANEL,
    "legend.fontsize": 9,
    "xtick.color": QUIET,
    "xtick.labelcolor": TEXT,
    "ytick.color": QUIET,
    "ytick.labelcolor": TEXT,
}
WIDTH, HEIGHT = 4.6, 3.6
"""Inches of a picture: as wide as a phone."""
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def draw(name: str, plot: Callable[["Figure"], None], width: float = WIDTH, height: float = HEIGHT) -> Svg:
    """The picture that `plot` makes of an empty figure, in inches; `name` differs from those of its page's others.

    Raises ModuleNotFoundError without matplotlib: see `extra.require_eval`.
    """
    from matplotlib import rc_context  # noqa: PLC0415  # an extra, and slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    text = StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own font, by which it only measures, lacks characters that browsers have
        figure = Figure(figsize=(width, height), layout="constrained")
        plot(figure)
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<style.*?</style>", "", drawn, count=1, flags=re.DOTALL)  # it would count for the whole page
    drawn = re.sub(r' id="', f' id="{name}-', drawn)
    drawn = re.sub(r'(url\(|xlink:href=")#', rf"\g<1>#{name}-", drawn)
    pixels = width * 96
    size = f'style="max-width: {pixels:.0f}px; min-width: {0.72 * pixels:.0f}px"'
    drawn = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', f' aria-hidden="true" {size}', drawn, count=1)
    for colour, variable in VARIABLES.items():
        drawn = drawn.replace(f": {colour}", f": var({variable})")
    return Svg(drawn)
