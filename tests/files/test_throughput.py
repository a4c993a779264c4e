"""The streams with which files are classified."""

from typing import Any

import pytest

from labeld.config.load import load
from labeld.files.classify import for_throughput


@pytest.mark.parametrize(
    ("given", "streams"),
    [
        ({"threads": 4}, 2),
        ({"threads": 32}, 0),
        ({"threads": 1}, 0),
        ({"threads": 4, "streams": 1}, 1),
        ({"threads": 4, "precision": "int8"}, 0),
        ({"threads": 4, "precision": "org/name=int8"}, 0),
    ],
)
def test_float32_has_two_streams_where_the_settings_leave_it_open(given: dict[str, Any], streams: int) -> None:
    """Unless there are more by themselves, too few threads, or another precision; 0 is what the settings make of it."""
    assert streams == for_throughput(load(given, name_of=str)).compute.streams
