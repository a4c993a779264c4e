"""A request goes on when its client has left."""

from typing import Any

from labeld.web import inference
from reliability.faults import Patches

REDDENS = "never run"


def plant(patches: Patches) -> None:
    """Plants it."""

    async def cancel_on_disconnect(answer: Any, *_: Any) -> Any:
        return await answer

    patches.replace(inference, "cancel_on_disconnect", lambda _: cancel_on_disconnect)
