"""README.md of a model folder -> the languages, examples and task that its card names."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from labeld.checkpoint.plain_file import open_plain
from labeld.errors import FolderError
from labeld.types import Text

NAME = "README.md"
HEAD_BYTES = 64 * 1024
"""Bytes within which the card's front matter must end."""
EXAMPLES, EXAMPLE_CHARACTERS = 8, 1000
LANGUAGES = 200
HEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
LANGUAGE = re.compile(r"[A-Za-z]{2,12}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Card:
    """The used parts of a README.md's front matter. Every part may be missing."""

    languages: tuple[str, ...] = ()
    """Language codes, as the card spells them."""
    examples: tuple[Text, ...] = ()
    """Texts to try, from the key `widget` (contract section 9.1)."""
    task: str | None = None
    """`pipeline_tag`: the task by which the Hub offers the model."""


def read_card(folder: Path) -> Card:
    """The card of a folder; an empty one when there is none or it cannot be parsed."""
    path = folder / NAME
    try:
        state = path.stat()
    except OSError:
        return Card()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _read(path: Path, _modified: int, _size: int) -> Card:
    import yaml  # noqa: PLC0415  # needed only for lists of models

    try:
        with open_plain(path) as file:
            head = HEAD.match(file.read(HEAD_BYTES))
        said = yaml.safe_load(head[1]) if head else None
    except (FolderError, OSError, ValueError, TypeError, RecursionError, yaml.YAMLError):
        return Card()
    if not isinstance(said, dict):
        return Card()
    languages, examples = tuple(dict.fromkeys(_languages(said)))[:LANGUAGES], tuple(_examples(said))[:EXAMPLES]
    task = said.get("pipeline_tag")
    return Card(languages, examples, task if isinstance(task, str) else None)


def _languages(said: dict[Any, Any]) -> Iterator[str]:
    for one in _list(said.get("language")):
        code = "no" if one is False else one  # NOTE: YAML takes Norwegian for a boolean
        if isinstance(code, str) and LANGUAGE.fullmatch(code):
            yield code.lower()


def _examples(said: dict[Any, Any]) -> Iterator[Text]:
    for one in _list(said.get("widget")):
        if isinstance(one, dict) and (text := _example(one.get("text"))):
            yield Text(text, _example(one.get("text_pair")))


def _example(value: Any) -> str | None:
    """A text of the card; None if it has half a surrogate pair, which no request may have."""
    if not isinstance(value, str) or len(value) > EXAMPLE_CHARACTERS:
        return None
    with suppress(UnicodeEncodeError):
        return value.encode().decode().strip() or None
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
