"""`labeld classify`: the service without HTTP, shown as bars or as JSON lines."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table

from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError
from labeld.service.build import open_service
from labeld.types import ClassifyRequest, LabelScore, Options, Parameters, Ranking, Text

AT_ONCE = 64
"""Texts of standard input that are read before the first are answered."""

BAR = 40
"""Characters of a full bar."""

COLOURS = ("green", "cyan", "magenta", "yellow", "blue")


def classify_texts(texts: list[str] | None, settings: Settings, parameters: dict[str, Any], *, as_json: bool) -> None:
    """Classifies the texts, or the lines of standard input, and prints each ranking in its order.

    `parameters` has top_k and function_to_apply. Raises LabeldError for whatever is wrong.
    """
    function = parameters["function_to_apply"]
    if function is not None and function.lower() not in ("sigmoid", "softmax", "none"):
        raise InvalidRequestError(f"--function is {function!r}, but must be sigmoid, softmax or none.")
    asked = Parameters(top_k=parameters["top_k"], function_to_apply=function.lower() if function else None)
    console = Console()
    bars = console.is_terminal and not as_json
    if texts is None and sys.stdin.isatty():
        raise InvalidRequestError("There is no text: give texts as arguments, or lines on standard input.")
    lines = texts if texts is not None else (line.rstrip("\r\n") for line in sys.stdin)
    asyncio.run(_print_all(lines, settings, asked, console if bars else None))


async def _print_all(lines: Iterable[str], settings: Settings, parameters: Parameters, console: Console | None) -> None:
    async with open_service(settings) as service:
        for batch in _batches(lines):
            request = ClassifyRequest(tuple(Text(line) for line in batch), parameters, Options(wait_for_model=True))
            reply = await service.classify(None, request)
            for line, encoded in zip(batch, reply.rankings, strict=True):
                ranking = json.loads(encoded)
                if console is None:
                    print(json.dumps(ranking, ensure_ascii=False), flush=True)  # noqa: T201
                else:
                    _print_bars(console, line, [LabelScore(**one) for one in ranking])


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(lines)
    while batch := list(islice(iterator, AT_ONCE)):
        yield batch


def _print_bars(console: Console, text: str, ranking: Ranking) -> None:
    console.print(text, style="bold", markup=False, highlight=False)
    table = Table.grid(padding=(0, 1))
    longest = max((abs(one.score) for one in ranking), default=1.0) or 1.0
    for index, one in enumerate(ranking):
        bar = "█" * round(BAR * abs(one.score) / longest)
        table.add_row(f"[{COLOURS[index % len(COLOURS)]}]{bar}[/]", f"{one.score:.3f}", one.label)
    console.print(table)
