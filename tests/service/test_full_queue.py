"""What a full queue costs those who are refused."""

import asyncio
from pathlib import Path

import pytest

from labeld.config.load import load
from labeld.errors import LabeldError, OverloadedError
from labeld.service.build import open_service
from labeld.types import ClassifyRequest, Options, Text
from tests.support.event_loop import in_event_loop

MODEL = "labeld/sentiment-en"
TOO_LONG = Text("good " * 600)


def request(*texts: Text) -> ClassifyRequest:
    """One that waits for its model and reads no cache."""
    return ClassifyRequest(texts, options=Options(wait_for_model=True, use_cache=False))


@in_event_loop
async def test_a_full_queue_refuses_before_a_text_is_tokenised(tmp_path: Path) -> None:
    """One that is too long is told so only where there is room: who is refused waits for no tokenizer thread."""
    settings = load({"cache_dir": str(tmp_path), "hub": "off", "queue_seconds": "0.5"}, {})
    async with open_service(settings) as service:
        model = service.resolve(MODEL)
        await service.classify(model, service.look_up(model, request(Text("good"))))
        many = request(*[Text("a long film " * 40)] * 200)
        busy = asyncio.create_task(service.classify(model, service.look_up(model, many)))
        while service.usage().queued_seconds < 0.5:
            await asyncio.sleep(0.001)
        with pytest.raises(OverloadedError, match="queue_seconds"):
            await service.classify(model, service.look_up(model, request(TOO_LONG)))
        busy.cancel()
        while service.usage().queued_seconds:
            await asyncio.sleep(0.001)
        with pytest.raises(LabeldError, match="512") as answered:
            await service.classify(model, service.look_up(model, request(TOO_LONG)))

        assert not isinstance(answered.value, OverloadedError)
