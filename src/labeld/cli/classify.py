"""`labeld classify`: texts without a server, shown as bars or as JSON lines."""

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import cast, get_args

from rich.console import Console
from rich.table import Table

from labeld.classifier import Classifier, RankingParameters
from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError
from labeld.files.formats import STANDARD_INPUT, is_file_of_rows
from labeld.literals import FunctionName
from labeld.model_id import valid_id
from labeld.repository.folders import Folders
from labeld.types import Ranking

BAR = 40
"""Characters of a full bar."""

AS_TEXT = "or send the name itself through standard input"
CONVERT = "convert it, for example with iconv"

COLOURS = ("green", "cyan", "magenta", "yellow", "blue")


def function_named(name: str | None) -> FunctionName | None:
    """The function of this name, in any case; raises InvalidRequestError when there is none."""
    if name is not None and name.lower() not in get_args(FunctionName):
        raise InvalidRequestError(f"--function is {name!r}, but must be sigmoid, softmax or none.")
    return cast("FunctionName", name.lower()) if name else None


def classify_texts(texts: list[str] | None, settings: Settings, asked: RankingParameters, *, as_json: bool) -> None:
    """Classifies the texts, or the lines of standard input, and prints each ranking in its order.

    Raises LabeldError for whatever is wrong.
    """
    lines: Iterable[str]
    if texts is None or texts == [STANDARD_INPUT]:
        if sys.stdin is None or (texts is None and sys.stdin.isatty()):
            raise InvalidRequestError("There is no text: give texts as arguments, or lines on standard input.")
        lines = _lines()
    else:
        lines = _checked(texts, settings)
    console = Console()
    bars = console.is_terminal and not as_json
    _print_all(lines, settings, asked, console if bars else None)


def _checked(texts: list[str], settings: Settings) -> list[str]:
    """The arguments; Python has half surrogate pairs in place of bytes that are not UTF-8.

    Raises InvalidRequestError for the name of a file or of a model as well, where its answer would be a wrong one.
    """
    may_be_models = any("/" in text and valid_id(text) for text in texts)
    models = Folders(settings.folders.models_dir).ids() if may_be_models else []
    for number, text in enumerate(texts, 1):
        if is_file_of_rows(text):
            raise InvalidRequestError(
                f"Text {number} is the name of a file: have its rows read with --input, {AS_TEXT}."
            )
        if text in models:
            raise InvalidRequestError(f"Text {number} is the name of a model: choose it with --model, {AS_TEXT}.")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError(f"Text {number} is not UTF-8: {CONVERT}.") from None
    return texts


def _lines() -> Iterator[str]:
    """The lines of standard input, which are UTF-8 whatever the locale says."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise InvalidRequestError(f"Line {number} of standard input is not UTF-8: {CONVERT}.") from None


def _print_all(lines: Iterable[str], settings: Settings, asked: RankingParameters, console: Console | None) -> None:
    with Classifier.from_settings(settings) as classifier:
        texts, shown = tee(lines)  # NOTE: tee keeps only the texts in flight
        for line, ranking in zip(shown, classifier.stream(texts, **asked), strict=True):
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
