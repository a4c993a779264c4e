"""A NUL in the JSON of a body raises what no handler knows."""

from typing import Any

from labeld.protocol import strict_json
from reliability.faults import Patches

REDDENS = "failures of our own"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def loads(text: str, limits: Any) -> Any:
            if "\\u0000" in text:
                raise ValueError("embedded null character")
            return real(text, limits)

        return loads

    patches.replace(strict_json, "loads", faulty)
