"""Columns of a table -> the texts of its rows, and the sentence about the first row that cannot be classified."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from labeld.errors import InvalidRequestError, InvalidTextError, LabeldError, NotFiniteError
from labeld.service.inputs import Input
from labeld.tokenization.errors import TextTooLongError, TextTooManyCharactersError, UnknownTokenIdError

Describe = Callable[[int], str]
"""Position of a row -> what is shown of it beside that, or nothing."""

NULLS = {"NoneType", "NAType", "NaTType"}
"""Types whose values are null in some library; a float that is not a number is null as well."""


class Row(NamedTuple):
    """A row that has a text."""

    position: int
    """In its table, from 0."""
    text: Input


def read_texts(columns: Sequence[Sequence[Any]], names: Sequence[str], describe: Describe, *, skip: bool) -> list[Row]:
    """The rows of one column of texts, or of two with the texts of pairs; those with a null are left out with `skip`.

    Raises InvalidRequestError for the first row with anything else, or with a null without `skip`.
    """
    rows = []
    for position, parts in enumerate(zip(*columns, strict=True)):
        wrong = [(name, part) for name, part in zip(names, parts, strict=False) if not isinstance(part, str)]
        if not wrong:
            rows.append(Row(position, parts if len(parts) > 1 else parts[0]))
            continue
        for name, part in wrong:
            if not is_null(part):
                raise InvalidRequestError(
                    f"Row {position} of the batch{describe(position)} has {type(part).__name__} {str(part)[:40]!r} in "
                    f"column {name!r}, but must have a string: convert the column to strings first."
                )
        if not skip:
            raise InvalidRequestError(
                f"Row {position} of the batch{describe(position)} has null in column {wrong[0][0]!r}, but must have a "
                "string: fill or filter such rows, or pass skip_nulls=True for a null answer."
            )
    return rows


def is_null(value: object) -> bool:
    """Whether a value stands for none: None, NaN, or the null of pandas."""
    return type(value).__name__ in NULLS or (isinstance(value, float) and value != value)  # noqa: PLR0124  # NaN is not


def of_row(error: LabeldError, position: int, names: Sequence[str], describe: Describe) -> InvalidRequestError:
    """The failure of a text as one of its row, with what to do where there is no request."""
    match error:
        case TextTooLongError(tokens=tokens, limit=limit):
            what = (
                f"has {tokens} tokens, but the model takes at most {limit}: shorten the text, or pass truncation=True."
            )
        case TextTooManyCharactersError(characters=characters, limit=limit):
            what = (
                f"has {characters} characters, more than the limit of {limit} (LABELD_MAX_TEXT_CHARACTERS, and 250 per "
                "token the model takes): shorten the text, or pass truncation=True."
            )
        case NotFiniteError():
            what = "has a text for which the model computes a score that is not a finite number: leave the row out."
        case UnknownTokenIdError(token=token, number=number, vocabulary=vocabulary):
            what = (
                f"has the token {token[:60]!r} of id {number}, but the model knows only ids below {vocabulary}: leave "
                "the row out, or repair the model's tokenizer."
            )
        case InvalidTextError(what=what):
            pass
        case _:
            what = f"cannot be classified: {error}"
    where = " and ".join(map(repr, names))
    return InvalidRequestError(f"Row {position} of the batch{describe(position)}, column {where}, {what}")
