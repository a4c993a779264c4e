"""Many folders that cannot be served: the start goes on, and the log stays short."""

import asyncio
import logging
from pathlib import Path

import pytest

from labeld.config.load import load
from labeld.lifecycle.folder_check import BROKEN_NAMED
from labeld.service.build import open_service


@pytest.mark.parametrize("count", [BROKEN_NAMED, 300])
def test_many_broken_models_write_a_handful_of_lines(
    tmp_path: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The first by name, each with its reason, then how many others there are."""
    for number in range(count):
        (tmp_path / f"models/broken-{number}").mkdir(parents=True)
        (tmp_path / f"models/broken-{number}/config.json").write_text("{")

    async def main() -> None:
        settings = load({"models_dir": tmp_path / "models", "cache_dir": tmp_path}, {})
        async with open_service(settings) as service:
            await service.check_others()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())

    assert BROKEN_NAMED == caplog.text.count("cannot be served: config.json is not valid JSON")
    assert (count > BROKEN_NAMED) == (f"{count - BROKEN_NAMED} other models cannot be served either" in caplog.text)
