"""The resident models: each is loaded once, however many ask for it at the same time. Knows no model."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from labeld.errors import LabeldError

M = TypeVar("M")

FAILED_FOR = 5.0
"""Seconds for which a failed load is remembered, so that a broken folder is not read again at every request."""


class Registry(Generic[M]):
    """Models by id. Lives on one event loop."""

    def __init__(self, load: Callable[[str], Awaitable[M]]) -> None:
        self._load = load
        self._loads: dict[str, asyncio.Task[M]] = {}
        self._failed_at: dict[str, float] = {}

    async def get(self, model_id: str) -> M:
        """The model, loaded if it is not yet; raises what the load raised.

        A caller that leaves does not stop the load: others may wait for it, and the next request will want it.
        """
        task = self._loads.get(model_id)
        if task is None or self._failed_long_ago(model_id):
            task = self._loads[model_id] = asyncio.create_task(self._loaded(model_id))
        elif task.done():
            return task.result()
        return await asyncio.shield(task)

    def resident(self) -> dict[str, M]:
        """The models that are loaded now."""
        return {
            model_id: task.result()
            for model_id, task in self._loads.items()
            if task.done() and not task.cancelled() and not task.exception()
        }

    async def _loaded(self, model_id: str) -> M:
        self._failed_at.pop(model_id, None)
        try:
            return await self._load(model_id)
        except LabeldError:
            self._failed_at[model_id] = time.monotonic()
            raise

    def _failed_long_ago(self, model_id: str) -> bool:
        failed_at = self._failed_at.get(model_id)
        return failed_at is not None and time.monotonic() - failed_at > FAILED_FOR
