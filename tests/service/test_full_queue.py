"""What a full queue costs those who are refused, and whom it does not refuse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from labeld.config.load import load
from labeld.errors import LabeldError, OverloadedError
from labeld.service.build import open_service
from labeld.service.service import Service
from labeld.types import ClassifyReply, ClassifyRequest, Options, Text
from tests.support.event_loop import in_event_loop

MODEL = "labeld/sentiment-en"
TOO_LONG = Text("good " * 600)
MANY = [Text(f"{number} a long film " * 40) for number in range(200)]


def request(*texts: Text, use_cache: bool = False) -> ClassifyRequest:
    """One that waits for its model."""
    return ClassifyRequest(texts, options=Options(wait_for_model=True, use_cache=use_cache))


async def answer(service: Service, *texts: Text, use_cache: bool = False) -> ClassifyReply:
    """The bundled model's answer to a request."""
    asked = request(*texts, use_cache=use_cache)
    return await service.beside.answer(service.resolve(MODEL), asked, "")


@asynccontextmanager
async def with_full_queue(tmp_path: Path) -> AsyncIterator[tuple[Service, "asyncio.Task[ClassifyReply]"]]:
    """A service whose queue is full, the answer to "good" cached, and the work that fills the queue."""
    settings = load({"cache_dir": str(tmp_path), "hub": "off", "queue_seconds": "0.5"}, {})
    async with open_service(settings) as service:
        await answer(service, Text("good"), use_cache=True)
        busy = asyncio.create_task(answer(service, *MANY, use_cache=True))
        while service.usage().queued_seconds < 0.5:
            await asyncio.sleep(0.001)
        yield service, busy


@in_event_loop
async def test_a_full_queue_refuses_before_a_text_is_tokenised(tmp_path: Path) -> None:
    """One that is too long is told so only where there is room: who is refused waits for no tokenizer thread."""
    async with with_full_queue(tmp_path) as (service, busy):
        model = service.resolve(MODEL)
        with pytest.raises(OverloadedError, match="queue_seconds"):
            await service.classify(model, service.look_up(model, request(TOO_LONG)))
        busy.cancel()
        while service.usage().queued_seconds:
            await asyncio.sleep(0.001)
        with pytest.raises(LabeldError, match="512") as answered:
            await answer(service, TOO_LONG)

        assert not isinstance(answered.value, OverloadedError)


@in_event_loop
async def test_a_full_queue_refuses_before_anything_is_waited_for(tmp_path: Path) -> None:
    """A request that is refused is no task, has no deadline, and leases no model."""

    def never(_: Awaitable[ClassifyReply]) -> Awaitable[ClassifyReply]:
        raise AssertionError("it was waited for")

    async with with_full_queue(tmp_path) as (service, busy):
        for use_cache in (False, True):
            asked = request(Text("bad"), use_cache=use_cache)
            with pytest.raises(OverloadedError, match="queue_seconds"):
                await service.beside.answer(service.resolve(MODEL), asked, "", never)
        busy.cancel()


@in_event_loop
async def test_a_full_queue_refuses_nothing_that_need_not_be_computed(tmp_path: Path) -> None:
    """A cached answer is given, and one that another request computes is waited for."""
    async with with_full_queue(tmp_path) as (service, busy):
        cached = await answer(service, Text("good"), use_cache=True)
        joined = asyncio.create_task(answer(service, MANY[0], MANY[-1], use_cache=True))
        await asyncio.sleep(0)
        assert not busy.done()
        texts = (await busy).answers

        assert cached.compute_type == "cache"
        assert (await joined).answers == (texts[0], texts[-1])
