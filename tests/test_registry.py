"""Models are loaded once."""

import asyncio

import pytest

from labeld.errors import FolderError
from labeld.registry import Registry


def test_many_callers_share_one_load() -> None:
    """A hundred requests for a cold model are one load."""
    loads = []

    async def load(name: str) -> str:
        loads.append(name)
        await asyncio.sleep(0.01)
        return name.upper()

    async def run() -> list[str]:
        registry = Registry(load)
        return await asyncio.gather(*(registry.get("a") for _ in range(100)))

    assert ["A"] * 100 == asyncio.run(run())
    assert ["a"] == loads


def test_a_caller_that_leaves_does_not_stop_the_load() -> None:
    """The next one finds the model loaded."""

    async def load(name: str) -> str:
        await asyncio.sleep(0.01)
        return name.upper()

    async def run() -> tuple[str, dict[str, str]]:
        registry = Registry(load)
        leaves = asyncio.create_task(registry.get("a"))
        await asyncio.sleep(0)
        leaves.cancel()
        return await registry.get("a"), registry.resident()

    assert ("A", {"a": "A"}) == asyncio.run(run())


def test_a_failed_load_is_told_to_everyone_and_not_repeated_at_once() -> None:
    """The second caller gets the first one's reason; nothing is resident."""
    loads = []

    async def load(name: str) -> str:
        loads.append(name)
        raise FolderError("config.json is missing.")

    async def run() -> None:
        registry = Registry(load)
        for _ in range(2):
            with pytest.raises(FolderError, match="missing"):
                await registry.get("a")

        assert {} == registry.resident()

    asyncio.run(run())
    assert ["a"] == loads


def test_a_failed_load_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was mended is served without a restart."""
    broken = True

    async def load(name: str) -> str:
        if broken:
            raise FolderError("config.json is missing.")
        return name.upper()

    async def run() -> str:
        nonlocal broken
        registry = Registry(load)
        with pytest.raises(FolderError):
            await registry.get("a")
        broken = False
        monkeypatch.setattr("labeld.registry.FAILED_FOR", 0.0)
        return await registry.get("a")

    assert "A" == asyncio.run(run())
