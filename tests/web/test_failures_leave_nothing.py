"""A request that fails is gone when it is answered: no cycle of references keeps its body until Python looks for them.

The application runs in this process, because only here can a test see what the garbage collector finds.
"""

import asyncio
import gc
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import pytest

from labeld.config.load import load
from labeld.engines.openvino.engine import OpenVinoEngine
from labeld.metrics.prometheus import Metrics
from labeld.service.build import open_authenticator, open_service
from labeld.web.app import App
from labeld.web.hosting import AppHosting

TEXT = "a film " * 20
Ask = Callable[..., Awaitable[int]]


@pytest.fixture(scope="module")
def models(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that works and one that does not."""
    root = tmp_path_factory.mktemp("few")
    shutil.copytree(models_dir / "org/bert", root / "org/bert")
    shutil.copytree(models_dir / "org/bert", root / "org/broken")
    (root / "org/broken/model.safetensors").write_bytes(b"broken")
    return root


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """Garbage stays until the test looks at it."""
    gc.disable()
    yield
    gc.enable()


@asynccontextmanager
async def answering(models: Path, tmp_path: Path, **given: Any) -> AsyncIterator[Ask]:
    """A function that asks the application: path and body -> status; with `leave` the client leaves after the body."""
    places = {"models_dir": str(models), "cache_dir": str(tmp_path), "tokens_db": str(tmp_path / "tokens.sqlite3")}
    settings = load({**places, "models": "org/bert", "hub": "off", **given}, {})
    app = App(settings, AppHosting(open_service, open_authenticator, Metrics()))
    started, stop = asyncio.Event(), asyncio.Event()

    async def receive_lifespan() -> dict[str, Any]:
        if started.is_set():
            await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send_lifespan(_: Any) -> None:
        started.set()

    async def ask(path: str, body: bytes, *, leave: float | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()):
        status, messages = 0, [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await asyncio.sleep(60 if leave is None else leave)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        fields = [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": fields,
            "query_string": b"",
            "root_path": "",
        }
        await app({**scope, "client": ("127.0.0.1", 1), "scheme": "http", "server": ("localhost", 80)}, receive, send)
        return status

    life = asyncio.create_task(app({"type": "lifespan"}, receive_lifespan, send_lifespan))
    await started.wait()
    yield ask
    stop.set()
    await life


def garbage() -> list[str]:
    """Exceptions, tracebacks and their frames that only the garbage collector would find."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    kinds = BaseException | TracebackType | FrameType
    found = [getattr(one, "f_code", one) for one in gc.garbage if isinstance(one, kinds)]
    gc.garbage.clear()
    return [repr(one)[:150] for one in found]


def inputs(text: str, **parameters: Any) -> bytes:
    """A body."""
    return json.dumps({"inputs": text, "parameters": parameters}).encode()


FAILURES = {
    "too many tokens": ("/models/org/bert", inputs("film " * 300), 400),
    "too many characters": ("/models/org/bert", inputs("a" * 100_000), 400),
    "broken JSON": ("/models/org/bert", b'{"inputs": "' + b"a" * 100_000, 400),
    "an unknown parameter": ("/models/org/bert", inputs(TEXT, top_k=0), 400),
    "no such model": ("/models/org/none", inputs(TEXT), 404),
    "a broken model": ("/models/org/broken", inputs(TEXT), 500),
    "no such task": ("/pipeline/translation/org/bert", inputs(TEXT), 400),
    "no such path": ("/nothing", inputs(TEXT), 404),
    "no such method": ("/status", inputs(TEXT), 405),
}


@pytest.mark.slow
@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_refusal_leaves_nothing(failure: str, cached: bool, models: Path, tmp_path: Path) -> None:
    """Whatever is wrong with a request, its exception is gone with it."""
    path, body, status = FAILURES[failure]

    async def story() -> None:
        async with answering(models, tmp_path) as ask:
            await ask("/models/org/bert", inputs("a"))
            headers = () if cached else ((b"x-use-cache", b"0"),)
            await ask(path, body, headers=headers)
            gc.collect()
            for _ in range(8):
                assert await ask(path, body, headers=headers) == status
            assert garbage() == []

    asyncio.run(story())


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("cached", [True, False])
def test_an_engine_that_fails_leaves_nothing(
    cached: bool, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that fails fails all its texts, and nothing of them stays."""

    def fail(*_: Any) -> None:
        raise RuntimeError("no engine")

    async def story() -> None:
        async with answering(models, tmp_path) as ask:
            monkeypatch.setattr(OpenVinoEngine, "run", fail)
            body, headers = (
                json.dumps({"inputs": ["a", "b", TEXT]}).encode(),
                () if cached else ((b"x-use-cache", b"0"),),
            )
            gc.collect()
            for _ in range(8):
                assert await ask("/models/org/bert", body, headers=headers) == 500
            assert garbage() == []

    asyncio.run(story())


@pytest.mark.usefixtures("_no_collection")
def test_clients_that_leave_leave_nothing(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that left while its text waited, the only one or beside another that asked the same."""
    from labeld.tokenization.encoder import TextEncoder

    read = TextEncoder.read

    def slowly(*arguments: Any) -> Any:
        import time

        time.sleep(0.2)
        return read(*arguments)

    async def story() -> None:
        async with answering(models, tmp_path) as ask:
            await ask("/models/org/bert", inputs("a"))
            monkeypatch.setattr(TextEncoder, "read", slowly)
            gc.collect()
            for number in range(8):
                body = inputs(f"{number} {TEXT}")
                both = asyncio.gather(
                    ask("/models/org/bert", body, leave=0.05), ask("/models/org/bert", body, leave=0.1)
                )
                assert await both == [503, 503]
                await asyncio.sleep(0.3)
            assert garbage() == []

    asyncio.run(story())


@pytest.mark.usefixtures("_no_collection")
def test_overload_leaves_nothing(models: Path, tmp_path: Path) -> None:
    """Requests beyond a limit, and those that do not wait for a model."""

    async def story() -> None:
        async with answering(models, tmp_path, max_in_flight="1", load_grace="0") as ask:
            gc.collect()
            several = [ask("/models/org/bert", inputs(TEXT)) for _ in range(5)]
            assert sorted(await asyncio.gather(*several)) == [200, 429, 429, 429, 429]
            assert await ask("/models/labeld/sentiment-en", inputs(TEXT)) == 503
            assert garbage() == []

    asyncio.run(story())
