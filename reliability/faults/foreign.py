"""Keys of cached answers leave out which model they are of."""

from typing import Any

from labeld.cache import answers
from reliability.faults import Patches

REDDENS = "foreign"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def answer_keys(identity: Any, request: Any, scope: str) -> list[bytes]:
            found: list[bytes] = real(identity._replace(revision="0" * 40), request, scope)
            return found

        return answer_keys

    patches.replace(answers, "answer_keys", faulty)
