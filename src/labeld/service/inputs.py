"""Inputs of the Python API -> texts, in chunks that are tokenised together. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from labeld.errors import InvalidRequestError, InvalidTextError
from labeld.types import Text

Input = str | tuple[str, str]
"""A text, or a pair of texts such as a query and a passage."""

Inputs = list[str] | list[tuple[str, str]] | list[Input]
"""Several texts. NOTE: a list, because a tuple is a pair."""

T = TypeVar("T")

CHUNK = 64
"""Texts that are tokenised together."""


def chunks(inputs: Iterable[Input]) -> Iterator[tuple[int, list[Text]]]:
    """The texts in chunks, each with the position of its first one; raises InvalidRequestError for what is no text."""
    texts = enumerate(_several(inputs))
    while chunk := list(islice(texts, CHUNK)):
        yield chunk[0][0], [_text(position, one) for position, one in chunk]


def groups(inputs: Iterable[Iterable[Input]]) -> Iterator[tuple[int, list[Text]]]:
    """The texts of each group, with the position of its first one among all; raises InvalidRequestError as `chunks`."""
    first = 0
    for group in _several(inputs):
        texts = [_text(position, one) for position, one in enumerate(_several(group), first)]
        yield first, texts
        first += len(texts)


def _several(inputs: Iterable[T]) -> Iterable[T]:
    """The inputs; raises InvalidRequestError where they are not several, such as a text, which has characters."""
    if isinstance(inputs, str):
        raise InvalidRequestError("The input is one text, where a list of texts is wanted: put it into [ ].")
    if isinstance(inputs, Mapping | bytes) or not hasattr(inputs, "__iter__"):
        raise InvalidRequestError(
            f"The input is {type(inputs).__name__}, but must be a text, a pair of texts, or a list of them."
        )
    return inputs


def _text(position: int, one: object) -> Text:
    parts = one if isinstance(one, tuple) else (one,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, str) for part in parts):
        raise InvalidTextError(
            position,
            f"is {type(one).__name__} {str(one)[:40]!r}, but must be a text or a pair of texts: "
            '"some text", or ("a text", "its pair").',
        )
    for part in parts:
        try:
            part.encode()
        except UnicodeEncodeError:
            raise InvalidTextError(
                position,
                'has half of a surrogate pair, which is no character: read it as UTF-8 with errors="replace".',
            ) from None
    return Text(parts[0], (parts[1] or None) if len(parts) == 2 else None)
