"""Every request leaves 64 kB behind."""

from typing import Any

from labeld.web.app import App
from reliability.faults import Patches

REDDENS = "memory"


def plant(patches: Patches) -> None:
    """Plants it."""
    left: list[bytearray] = []

    def faulty(real: Any) -> Any:
        async def finish(*arguments: Any) -> None:
            left.append(bytearray(b"x" * 65536))
            await real(*arguments)

        return finish

    patches.replace(App, "_finish", faulty)
