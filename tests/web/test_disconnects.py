"""A client that leaves while its texts wait: nothing of them reaches the engine.

The application is served over a real socket in this process, because only here an engine can be held at a gate.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn

from labeld.cache.answers import CacheUse
from labeld.config.load import load
from labeld.config.settings import Compute, ConnectionLimits, Queue, Settings
from labeld.metrics.observer import UNOBSERVED
from labeld.metrics.prometheus import Metrics
from labeld.protocol.response import encode_ranking
from labeld.repository.resolver import ResolvedModel
from labeld.scheduler.dispatcher import Dispatcher
from labeld.scheduler.queue import ModelQueue
from labeld.server.http_protocol import limited_protocol
from labeld.service.admission import Admission
from labeld.service.beside import Beside
from labeld.service.build import open_authenticator
from labeld.service.state import Usage
from labeld.types import Answer, ClassifyReply, ClassifyRequest, EncodedText, LabelScore
from labeld.web.app import App
from labeld.web.hosting import AppHosting
from tests.support.server_process import wait_until


class GatedEngine:
    """An engine whose first batch waits until the gate opens, and which records the lengths of all texts."""

    max_tokens = 512
    max_concurrent_batches = 1
    pipelined = False
    prefers_large_batches = False

    def __init__(self) -> None:
        self.started, self.gate = threading.Event(), threading.Event()
        self.lengths: list[int] = []

    def run(self, texts: list[EncodedText]) -> np.ndarray:
        """Logits that are the length of each text."""
        self.lengths += [len(text.ids) for text in texts]
        self.started.set()
        assert self.gate.wait(30)
        return np.array([[len(text.ids)] for text in texts], dtype=np.float32)

    run_concurrently = run


class PlainService:
    """A service without models: one token per character, one label, the engine's logit as its score."""

    def __init__(self, engine: GatedEngine) -> None:
        self._dispatcher = Dispatcher(Compute(batch_tokens=1), Queue(), 1)
        self._engine = engine
        self.admission = Admission(512, lambda: 0)
        self.beside = Beside(self, None, self._dispatcher, UNOBSERVED)  # its only model has no second one
        self.queue: ModelQueue
        self.left = 0

    async def preload(self, *, some: bool) -> list[str]:
        """Starts the only stream."""
        self._dispatcher.start()
        self.queue = self._dispatcher.attach(self._engine)
        return ["plain"]

    async def load_roles(self) -> None:
        """There are none."""

    def stop_loading(self) -> None:
        """Nothing is ever loaded."""

    async def check_others(self) -> None:
        """There are none."""

    async def watch_files(self) -> None:
        """There are none."""

    async def classify(self, _: ResolvedModel, request: ClassifyRequest) -> ClassifyReply:
        """Each text's length; counts the callers that left."""
        texts = [
            EncodedText(np.zeros(len(one.text), np.int32), np.zeros(len(one.text), np.int32)) for one in request.texts
        ]
        try:
            rows = await self._dispatcher.run(self.queue, texts)
        except asyncio.CancelledError:
            self.left += 1
            raise
        answers = tuple(Answer(encode_ranking([LabelScore("length", float(row[0]))]), 0.0) for row in rows)
        return ClassifyReply(answers, "0" * 40, 0.0, 0)

    def resolve(self, _: str | None) -> ResolvedModel:
        """The only model."""
        return ResolvedModel("plain", "plain", None)

    def look_up(self, _: ResolvedModel, request: ClassifyRequest, scope: str) -> ClassifyRequest:
        """Nothing to look in."""
        return request

    def require_room(self, *_: object) -> None:
        """As the dispatcher says."""
        self._dispatcher.check_room(self.queue)

    def get_cached(self, *_: object) -> None:
        """Nothing is cached."""

    def loaded_models(self) -> list[Any]:
        """None that a budget counts."""
        return []

    def usage(self) -> Usage:
        """Nothing that anybody looks at."""
        return Usage(0, 0, {}, 0, 0, CacheUse(0, 0, 0, shared=False), 0.0, 0.0)

    def hung(self) -> bool:
        """Never: the gate is part of the test."""
        return False

    async def close(self) -> None:
        """Ends the stream."""
        self._dispatcher.close()
        await self._dispatcher.join()


@asynccontextmanager
async def served(service: PlainService) -> AsyncIterator[int]:
    """The port on which labeld's application and protocol serve this service."""

    @asynccontextmanager
    async def open_service(_: Settings) -> AsyncIterator[PlainService]:
        """The service, until the server ends."""
        yield service
        await service.close()

    ready = asyncio.Event()
    app = App(load({}), AppHosting(open_service, open_authenticator, Metrics(), lambda *_: ready.set()))
    config = uvicorn.Config(app, port=0, http=limited_protocol(ConnectionLimits()), lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await asyncio.wait_for(ready.wait(), 10)
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def send(port: int, *texts: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which these texts were asked for."""
    body = json.dumps({"inputs": texts}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    return reader, writer


async def until(condition) -> None:
    """Waits on the event loop for a condition that comes true."""
    assert await asyncio.to_thread(wait_until, condition)


def test_what_a_client_who_left_had_queued_never_reaches_the_engine() -> None:
    """Of three clients behind a busy engine the second closes its connection: only the other two's texts are run."""

    async def story() -> tuple[list[int], list[bytes]]:
        """The texts that the engine ran, and the answers to the two clients that stayed."""
        engine = GatedEngine()
        service = PlainService(engine)
        async with served(service) as port:
            first, first_writer = await send(port, "x")
            await until(engine.started.is_set)
            _, leaving = await send(port, "x" * 22, "x" * 23)
            await until(lambda: len(service.queue.waiting) == 2)
            third, third_writer = await send(port, "x" * 3)
            await until(lambda: len(service.queue.waiting) == 3)
            leaving.close()
            await until(lambda: service.left == 1)
            engine.gate.set()
            replies = [(await reader.readuntil(b"]]")).rpartition(b"\r\n")[2] for reader in (first, third)]
            for writer in (leaving, first_writer, third_writer):
                writer.close()
                await writer.wait_closed()
        return engine.lengths, replies

    lengths, replies = asyncio.run(story())

    assert [1, 3] == lengths
    assert [b'[[{"label":"length","score":%d.0}]]' % length for length in (1, 3)] == replies


def test_a_client_who_leaves_in_the_middle_of_its_body_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """It is no failure of the server, so nothing is logged, and the next client is answered."""

    async def story() -> bytes:
        """The answer to the next client."""
        engine = GatedEngine()
        engine.gate.set()
        async with served(PlainService(engine)) as port:
            _, leaving = await asyncio.open_connection("127.0.0.1", port)
            leaving.write(b'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"inputs')
            await leaving.drain()
            leaving.close()
            await leaving.wait_closed()
            reader, writer = await send(port, "x")
            reply = await reader.readuntil(b"]]")
            writer.close()
            await writer.wait_closed()
        return reply

    assert asyncio.run(story()).startswith(b"HTTP/1.1 200")
    assert [] == [record.getMessage() for record in caplog.records]
