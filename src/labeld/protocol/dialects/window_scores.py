"""The windows of long texts in the replies of dialects, where the member `return_windows` asks for them. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from labeld.protocol.dialects.fields import Fields
from labeld.types import Parameters


def with_windows(fields: Fields, parameters: Parameters) -> Parameters:
    """The parameters with `return_windows`."""
    return replace(parameters, return_windows=True) if fields.flag("return_windows") else parameters


def ranking_of(answer: Any) -> Sequence[Any]:
    """The ranking of the whole text."""
    return list(answer["labels"] if isinstance(answer, dict) else answer)


def windows_of(answer: Any) -> Sequence[Any]:
    """The windows of a text as `{"start", "end", "labels"}`; none where they were not asked for."""
    return list(answer["windows"]) if isinstance(answer, dict) else []
