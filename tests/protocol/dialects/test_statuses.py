"""Failures have the statuses of text-embeddings-inference in its dialect."""

import pytest

from labeld.error_reply import INTERNAL_ERROR
from labeld.errors import (
    BodyTooLargeError,
    EngineFailedError,
    InvalidJsonError,
    LabeldError,
    ModelBrokenError,
    NotFiniteError,
    OverloadedError,
    UnavailableError,
)
from labeld.interface import Interface
from labeld.protocol.dialects.errors import EmptyInputError, WrongTaskError, tei_error
from labeld.protocol.errors import TooManyTextsError, wrong_value
from labeld.tokenization.errors import StrideTooLargeError, TextTooLongError, TextTooManyCharactersError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EmptyInputError("It is empty."), (400, "Empty")),
        (TextTooLongError(0, 600, 512), (413, "Validation")),
        (TextTooManyCharactersError(0, 2_000_000, 1_000_000), (413, "Validation")),
        (TooManyTextsError("There are 1001."), (413, "Validation")),
        (BodyTooLargeError(1), (413, "Validation")),
        (wrong_value("texts", "a list", 7), (422, "Validation")),
        (InvalidJsonError("line 1, column 1"), (422, "Validation")),
        (StrideTooLargeError(0, 600, 10, 512), (422, "Validation")),
        (WrongTaskError("text-ranking", ["good", "bad"], "use a reranker"), (424, "Backend")),
        (EngineFailedError(), (424, "Backend")),
        (NotFiniteError(0), (424, "Backend")),
        (ModelBrokenError("org/model", "config.json is missing"), (424, "Backend")),
        (OverloadedError("It is busy.", 1.0, "queue_seconds"), (429, "Overloaded")),
        (UnavailableError("It stops."), (503, "Unhealthy")),
        (LabeldError(INTERNAL_ERROR), (500, "Backend")),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, LabeldError) else "",
)
def test_of_tei(error: LabeldError, expected: tuple[int, str]) -> None:
    """What is too long is 413, what its parser refuses 422, a model's failure 424, and one of ours 500."""
    status, value = tei_error(error, error.sentence(Interface.DIALECT))

    assert (status, value["error_type"]) == expected
