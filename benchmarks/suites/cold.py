"""Cold: many simultaneous requests for a model that is not downloaded yet: one download, one load, right answers."""

import asyncio
import resource
import tempfile
from pathlib import Path

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import post
from benchmarks.lib.known import is_right, known_scores
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.server import Server
from benchmarks.lib.texts import english
from tests.support.local_hub import local_hub

REQUESTS = 1000
TEXTS = 20
"""Different texts among the requests; none is answered from the cache."""
MODEL_ID = "org/cold"
LIMITS = {
    "max-connections": 2 * REQUESTS,
    "max-in-flight": 2 * REQUESTS,
    "max-waiting": REQUESTS,
    "max-wait": 600,
    "queue-seconds": 600,
    "queue-timeout": 600,
}
"""Limits that are raised so that no request is refused."""


def measure(plan: Plan) -> list[Figure]:
    """DistilBERT's synthetic model on a local Hub, and a server whose store is empty."""
    folder = model_folders.folder(plan, synthetic_models.DISTILBERT)
    texts = english(plan.data)[:TEXTS]
    known = known_scores(folder, texts)
    count = 200 if plan.quick else REQUESTS
    flags = [word for name, value in LIMITS.items() for word in (f"--{name}", str(value))]
    task = plan.progress.add_task(f"cold: {count} requests for a model on the Hub", total=None)
    with local_hub() as hub, tempfile.TemporaryDirectory() as empty:
        hub.add(MODEL_ID, {path.name: path.read_bytes() for path in folder.iterdir()})
        with Server("--hf-endpoint", hub.url, *flags, cache=Path(empty)) as server:
            before = server.status()["counts"]["loads"]
            requests = [post(f"/models/{MODEL_ID}", text, wait=True) for text in texts]
            replies = asyncio.run(_ask_all(server.port, [requests[index % len(texts)] for index in range(count)]))
            loads = server.status()["counts"]["loads"] - before
        downloads = max(hub.downloads().values(), default=0)
    plan.progress.remove_task(task)
    right = sum(is_right(*reply, known[index % len(texts)]) for index, reply in enumerate(replies))
    detail = {name.replace("-", "_"): value for name, value in LIMITS.items()}
    return [
        Figure("cold", f"{count} requests at once: downloads of a file", downloads, "", 1, detail=detail),
        Figure("cold", f"{count} requests at once: loads", loads, "", 1),
        Figure("cold", f"{count} requests at once: right answers", right, "", count, "at least"),
    ]


async def _ask_all(port: int, requests: list[bytes]) -> list[tuple[int, bytes]]:
    """Status and body of each request; all are sent, each on its own connection, before the first is answered."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in requests]
    for (_, writer), request in zip(streams, requests, strict=True):
        writer.write(request)
    replies = await asyncio.gather(*(_reply(reader) for reader, _ in streams))
    for _, writer in streams:
        writer.close()
    return replies


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)
