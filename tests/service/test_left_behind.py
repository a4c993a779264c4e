"""What a server keeps of models that have left."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labeld.config.load import load
from labeld.service.build import LIBRARY, Hosting, open_service
from tests.support.heap import in_use

CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
OWN_PROCESS = Hosting()
BOUND = 70_000
"""Bytes that may stay of one model: the kernels of three lengths of a row were 150,000."""
SCRIPT = """
import asyncio, sys
from labeld.config.load import load
from labeld.service.build import Hosting, open_service
from labeld.types import ClassifyRequest, Options, Parameters, Text
from tests.support.heap import in_use

LENGTHS = [*range(4, 65, 4), *range(80, 385, 16)]  # tokens of a row, as the engine rounds them
ROUNDS = len(LENGTHS) // 3

async def main():
    settings = load({"cache_dir": sys.argv[1], "hub": "off", "cache_bytes": "0", "idle_timeout": "0.01"}, {})
    sizes = []
    async with open_service(settings, Hosting()) as service:
        model = service.resolve("labeld/language-20")
        for number in range(ROUNDS):
            for length in LENGTHS[number::ROUNDS]:
                text = Text("a " * (length - 2))
                request = ClassifyRequest((text,), options=Options(wait_for_model=True))
                await service.classify(model, service.look_up(model, request))
            while service.loaded_models() or service.counts.evictions < service.counts.loads:
                await asyncio.sleep(0.005)
            sizes.append(in_use())
    print((sizes[-1] - sizes[3]) / (ROUNDS - 4))

asyncio.run(main())
"""


@pytest.mark.slow
def test_kernels_leave_with_their_model(tmp_path: Path) -> None:
    """In float32 on one stream, where each model is asked for rows of other lengths."""
    in_use()  # or skips
    there = {name: value for name, value in os.environ.items() if name != CAPACITY}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=there, capture_output=True, text=True, timeout=60, check=True)

    assert float(done.stdout) < BOUND


@pytest.mark.parametrize(
    ("settings", "before", "expected"),
    [
        ({}, None, "0"),
        ({"precision": "float32,org/one=float32"}, None, "0"),
        ({"precision": "int8"}, None, None),
        ({"precision": "float32,org/one=auto"}, None, None),
        ({"streams": "2"}, None, None),
        ({}, "256", "256"),
    ],
)
def test_kernels_are_kept_where_streams_share_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], before: str | None, expected: str | None
) -> None:
    """Or where the operator says how many."""
    assert expected == capacity(monkeypatch, tmp_path, settings, before)


def test_another_program_keeps_its_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its environment stays as it is."""
    assert capacity(monkeypatch, tmp_path, {}, None, LIBRARY) is None


def capacity(
    monkeypatch: pytest.MonkeyPatch,
    cache_dir: Path,
    settings: dict[str, str],
    before: str | None,
    hosting: Hosting = OWN_PROCESS,
) -> str | None:
    """The capacity while a service is open; `before` is that of the environment."""
    monkeypatch.setenv(CAPACITY, before or "")
    if before is None:
        monkeypatch.delenv(CAPACITY)
    options = load({"cache_dir": str(cache_dir), "hub": "off", "threads": "2", "streams": "1", **settings}, {})

    async def story() -> str | None:
        async with open_service(options, hosting):
            return os.environ.get(CAPACITY)

    return asyncio.run(story())
