"""Rankings of a server, compared with those of transformers."""

from typing import Any

import pytest


def same(actual: list[list[dict[str, Any]]], reference: list[list[dict[str, Any]]]) -> None:
    """Asserts that rankings have the same labels in the same order, and scores within 1e-5."""
    assert [[one["label"] for one in ranking] for ranking in actual] == [
        [one["label"] for one in ranking] for ranking in reference
    ]
    for ours, theirs in zip(actual, reference, strict=True):
        assert [one["score"] for one in ours] == pytest.approx([one["score"] for one in theirs], abs=1e-5)
