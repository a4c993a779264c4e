"""Sentences of errors that name no member of a body are the same in every dialect."""

import pytest

from labeld.auth.errors import TokenNotFoundError
from labeld.errors import EngineFailedError, LabeldError, ModelTooLargeError
from labeld.interface import Interface
from labeld.repository.errors import DownloadTooLargeError, GatedModelError, NotDownloadedError


@pytest.mark.parametrize(
    "error",
    [
        NotDownloadedError("org/model", "offline"),
        NotDownloadedError("org/model", "hub_allow"),
        GatedModelError("org/model"),
        DownloadTooLargeError("org/model", 2, 1),
        ModelTooLargeError("org/model", 2, 1),
        EngineFailedError(),
        TokenNotFoundError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_as_the_hosted_api_says_it(error: LabeldError) -> None:
    """For the way out is the same."""
    assert error.sentence(Interface.DIALECT) == error.sentence(Interface.HTTP)
