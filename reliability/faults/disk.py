"""Nobody looks whether the files of a loaded model have changed."""

import asyncio
from typing import Any

from labeld.service import service
from reliability.faults import Patches

REDDENS = "as it is now"


def plant(patches: Patches) -> None:
    """Plants it."""

    async def serve_anew(*_: Any) -> None:
        await asyncio.Event().wait()

    patches.replace(service, "serve_anew", lambda _: serve_anew)
