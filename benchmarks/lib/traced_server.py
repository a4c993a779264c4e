"""`labeld serve` that measures each stage of a request: its functions are wrapped from outside.

Run as `python -m benchmarks.lib.traced_server serve …`. `GET /stages` returns the measurements since its last request.
The watches take some microseconds of a request, which are counted with the stage that they surround.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

from starlette.types import Message, Receive, Scope, Send

import labeld.web.factory
from labeld.cache.answers import AnswerCache
from labeld.cli.main import run
from labeld.config.settings import Settings
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.engines.openvino.layers import PackedGraph
from labeld.scheduler.dispatcher import Dispatcher
from labeld.server.worker import Address
from labeld.service import scorer, service
from labeld.tokenization.encoder import TextEncoder
from labeld.types import EncodedInput, EncodedText
from labeld.web import inference as web_inference

PATH = "/stages"
PARSE, LOOK_UP, TOKENISE, QUEUE = "parse", "look up", "tokenise", "queue"
PACK, RUN, RANK, WRITE, TOTAL = "pack", "run", "rank", "write", "total"

_KINDS = {"": "engine", "stream": "streams", "MainThread": "event loop", "tokenise": "tokenisers"}
"""Beginning of a thread's name -> what it does; OpenVINO's own threads have no name in Python."""
_original = labeld.web.factory.application
Seconds = defaultdict[str, float]
_stages: ContextVar[Seconds] = ContextVar("stages")
"""Of each stage of the request that the current task answers."""


def application(settings: Settings, first: Semaphore, workers_folder: Path | None, address: Address) -> Any:
    """Labeld's application with watches; called in the worker."""
    return _Traced(_original(settings, first, workers_folder, address), _Watches())


class _Watches:
    """Replaces the functions that a request goes through by ones that look at the clock before and after."""

    def __init__(self) -> None:
        self._encoded: dict[int, float] = {}
        """Seconds of tokenising, by the list that came of it."""
        self._batches: dict[int, tuple[float, float, float]] = {}
        """When a text's batch began, for how long it was packed, and when it ended, by the text."""
        self._stream = threading.local()
        self.inference = 0.0
        """CPU seconds of the streams' threads within the engine, but for packing."""
        for name, stage in (
            *(("read_body", PARSE), ("request_of", PARSE)),
            *(("encode_reply", WRITE), ("reply_headers", WRITE)),
        ):
            setattr(web_inference, name, _watched(getattr(web_inference, name), stage))
        for name in ("look_up", "get_cached"):
            setattr(service.Service, name, _watched(getattr(service.Service, name), LOOK_UP))
        for module, name in ((scorer, "scored_text"), (service, "finished")):
            setattr(module, name, _watched(getattr(module, name), RANK))
        AnswerCache.read_shared = _awaited(AnswerCache.read_shared, LOOK_UP)  # type: ignore[method-assign]
        TextEncoder.read = self._encode(TextEncoder.read)  # type: ignore[method-assign]
        PackedGraph.inputs = self._pack(PackedGraph.inputs)  # type: ignore[method-assign]
        for name in ("run", "run_concurrently"):
            setattr(OpenVinoEngine, name, self._run(getattr(OpenVinoEngine, name)))
        Dispatcher.run = self._dispatch(Dispatcher.run)  # type: ignore[method-assign]

    def _encode(self, read: Callable[..., list[EncodedInput]]) -> Any:
        def watched(encoder: TextEncoder, *arguments: Any) -> list[EncodedInput]:
            began = time.perf_counter()
            inputs = read(encoder, *arguments)
            self._encoded[id(inputs[0].windows[0])] = time.perf_counter() - began
            return inputs

        return watched

    def _pack(self, pack: Callable[..., Any]) -> Any:
        def watched(graph: PackedGraph, *arguments: Any) -> Any:
            began, used = time.perf_counter(), time.thread_time()
            inputs = pack(graph, *arguments)
            self._stream.packed, self._stream.used = time.perf_counter() - began, time.thread_time() - used
            return inputs

        return watched

    def _run(self, run_batch: Callable[..., Any]) -> Any:
        def watched(engine: OpenVinoEngine, texts: Sequence[EncodedText]) -> Any:
            began, used = time.perf_counter(), time.thread_time()
            rows = run_batch(engine, texts)
            ended = time.perf_counter()
            self.inference += time.thread_time() - used - self._stream.used
            self._batches.update(dict.fromkeys(map(id, texts), (began, self._stream.packed, ended)))
            return rows

        return watched

    def _dispatch(self, dispatch: Callable[..., Any]) -> Any:
        async def watched(
            dispatcher: Dispatcher, queue: Any, texts: Sequence[EncodedText], *timings: Any, **options: Any
        ) -> Any:
            stages, queued_at = _stages.get(), time.perf_counter()
            rows = await dispatch(dispatcher, queue, texts, *timings, **options)
            stages[TOKENISE] += self._encoded.pop(id(texts[0]))
            times = [self._batches.pop(id(text)) for text in texts]
            began, packed, ended = times[-1]
            stages[QUEUE] += began - queued_at
            stages[PACK] += packed
            stages[RUN] += ended - began - packed
            return rows

        return watched


class _Traced:
    """The application, whose requests are added up."""

    def __init__(self, app: Any, watches: _Watches) -> None:
        self._app, self._watches = app, watches
        self._seconds: Seconds = defaultdict(float)
        self._requests = 0
        self._before = self._cpu()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._report(send)
        elif scope["type"] == "http" and scope["method"] == "POST":
            await self._trace(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _trace(self, scope: Scope, receive: Receive, send: Send) -> None:
        stages: Seconds = defaultdict(float)
        _stages.set(stages)

        async def watched_send(message: Message) -> None:
            began = time.perf_counter()
            await send(message)
            stages[WRITE] += time.perf_counter() - began

        began = time.perf_counter()
        await self._app(scope, receive, watched_send)
        stages[TOTAL] = time.perf_counter() - began
        if RUN in stages:  # those of clients that have left are not
            for stage, seconds in stages.items():
                self._seconds[stage] += seconds
            self._requests += 1

    async def _report(self, send: Send) -> None:
        now = self._cpu()
        cpu = {name: seconds - self._before.get(name, 0.0) for name, seconds in now.items()}
        body = json.dumps({"requests": self._requests, "seconds": self._seconds, "cpu": cpu}).encode()
        self._seconds, self._requests, self._before = defaultdict(float), 0, now
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _cpu(self) -> dict[str, float]:
        """CPU seconds so far of this process's threads, by what they do."""
        names = {thread.native_id: thread.name.replace("_", "-").partition("-")[0] for thread in threading.enumerate()}
        found: Seconds = defaultdict(float)
        for task in Path("/proc/self/task").iterdir():
            kind = _KINDS.get(names.get(int(task.name), ""), "other threads")
            found[kind] += int((task / "schedstat").read_text().split()[0]) / 1e9
        found["engine"] += self._watches.inference
        found["streams"] -= self._watches.inference
        return dict(found)


def _watched(function: Callable[..., Any], stage: str) -> Any:
    def watched(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            _stages.get(defaultdict(float))[stage] += time.perf_counter() - began

    return watched


def _awaited(function: Callable[..., Any], stage: str) -> Any:
    async def watched(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await function(*arguments)
        finally:
            _stages.get(defaultdict(float))[stage] += time.perf_counter() - began

    return watched


if __name__ == "__main__":
    labeld.web.factory.application = application
    run()
