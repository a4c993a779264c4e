"""`labeld classify`: texts without a server, shown as bars or as JSON lines."""

import json
import sys
from collections.abc import Iterable
from itertools import tee
from typing import cast, get_args

from rich.console import Console
from rich.table import Table

from labeld.classifier import Classifier, RankingParameters
from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError
from labeld.types import FunctionName, Ranking

BAR = 40
"""Characters of a full bar."""

COLOURS = ("green", "cyan", "magenta", "yellow", "blue")


def classify_texts(
    texts: list[str] | None, settings: Settings, top_k: int | None, function: str | None, *, as_json: bool
) -> None:
    """Classifies the texts, or the lines of standard input, and prints each ranking in its order.

    Raises LabeldError for whatever is wrong.
    """
    if function is not None and function.lower() not in get_args(FunctionName):
        raise InvalidRequestError(f"--function is {function!r}, but must be sigmoid, softmax or none.")
    parameters: RankingParameters = {
        "top_k": top_k,
        "function_to_apply": cast("FunctionName", function.lower()) if function else None,
    }
    console = Console()
    bars = console.is_terminal and not as_json
    if texts is None and sys.stdin.isatty():
        raise InvalidRequestError("There is no text: give texts as arguments, or lines on standard input.")
    lines = texts if texts is not None else (line.rstrip("\r\n") for line in sys.stdin)
    _print_all(lines, settings, parameters, console if bars else None)


def _print_all(
    lines: Iterable[str], settings: Settings, parameters: RankingParameters, console: Console | None
) -> None:
    with Classifier.from_settings(settings) as classifier:
        texts, shown = tee(lines)  # NOTE: which keeps only what is in flight
        for line, ranking in zip(shown, classifier.stream(texts, **parameters), strict=True):
            if console is None:
                print(json.dumps([one._asdict() for one in ranking], ensure_ascii=False), flush=True)  # noqa: T201
            else:
                _print_bars(console, line, ranking)


def _print_bars(console: Console, text: str, ranking: Ranking) -> None:
    console.print(text, style="bold", markup=False, highlight=False)
    table = Table.grid(padding=(0, 1))
    longest = max((abs(one.score) for one in ranking), default=1.0) or 1.0
    for index, one in enumerate(ranking):
        bar = "█" * round(BAR * abs(one.score) / longest)
        table.add_row(f"[{COLOURS[index % len(COLOURS)]}]{bar}[/]", f"{one.score:.3f}", one.label)
    console.print(table)
