"""Metrics and status of all workers of a server, from whichever worker is asked.

They share a folder, which the command line makes before it starts them. Each has a socket there, on which it answers
with its figures, and a file with those that it sent last, so that its counts remain when it has ended: a sum
never goes down (docs/internals/decisions/0023-several-workers.md).
"""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from labeld.metrics.candidates import summed as summed_candidates
from labeld.metrics.families import Families, lasting, merged
from labeld.metrics.prometheus import Metrics
from labeld.system.json_file import read_object, replace_object
from labeld.web.monitoring.figures import summed
from labeld.web.monitoring.history import History
from labeld.web.monitoring.server_status import CANDIDATES, Snapshot, server_status
from labeld.web.monitoring.status import Status

KEEP_EVERY = 2.0
"""Seconds between two writings of a worker's file: what is counted in them is lost when it dies."""
ANSWER_LIMIT = 1.0
"""Seconds for another worker to answer; then its file counts, and `/status` names it."""
SILENT: Snapshot = {}
"""Of a worker that does not answer in time."""
ENDED = "ended"
"""The file of those that have ended, together."""


class Workers:
    """All workers of this server, from the view of one of them. Use it on the event loop."""

    def __init__(self, folder: Path | None, metrics: Metrics, status: Status, history: History) -> None:
        """`folder` is None where there is one worker only."""
        self._folder, self._metrics, self._status, self._history = folder, metrics, status, history
        self._name = f"{os.getpid()}-{time.time_ns()}"  # NOTE: a pid alone may be one that was used before

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answers the others until the context ends; then its file stays."""
        if self._folder is None:
            yield
            return
        self._handle = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        async with await asyncio.start_unix_server(self._answer, self._socket(self._name)):
            kept = asyncio.create_task(self._keep())
            try:
                yield
            finally:
                kept.cancel()
                await self._publish()
        os.close(self._handle)

    async def exposition(self) -> bytes:
        """The metrics of all workers in Prometheus' text format."""
        if self._folder is None:
            return self._metrics.exposition()
        everybody, _ = await self._everybody(self._folder)
        return generate_latest(Families(merged(one["families"] for one in everybody)))

    async def status(self) -> dict[str, Any]:
        """The JSON of `/status`, which is about all workers."""
        now = time.monotonic()
        if self._folder is None:
            return server_status([self._snapshot()], [], now)
        return await asyncio.to_thread(server_status, *await self._everybody(self._folder), now)

    async def _everybody(self, folder: Path) -> tuple[list[Snapshot], list[int]]:
        """Figures of this worker, of the others that live, and of those that have ended; and who did not answer."""
        own = await self._publish()
        files = await asyncio.to_thread(lambda: [path.stem for path in folder.glob("*.json")])
        names = {*files} - {self._name, ENDED}
        answers = dict(zip(names, await asyncio.gather(*map(self._ask, names)), strict=True))
        silent = [name for name, answer in answers.items() if answer == SILENT]
        files_of_silent = await asyncio.to_thread(lambda: [read_object(self._file(name)) for name in silent])
        ended = [name for name, answer in answers.items() if answer is None]
        last = await asyncio.to_thread(_ended, folder, ended)
        everybody = [one for one in (own, *answers.values(), *files_of_silent, last) if one]
        return everybody, sorted(int(name.partition("-")[0]) for name in silent)

    async def _ask(self, name: str) -> Snapshot | None:
        """What a worker says; None when it has ended."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                reader, writer = await asyncio.open_unix_connection(self._socket(name))
                try:
                    found: Snapshot = json.loads(await reader.read())
                finally:
                    writer.close()
                return found
        except TimeoutError:
            return SILENT
        except (OSError, ValueError):  # refused, or it ended meanwhile
            return None

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(json.dumps(await self._publish()).encode())
            await writer.drain()
        writer.close()

    async def _keep(self) -> None:
        while True:
            await self._publish()
            await asyncio.sleep(KEEP_EVERY)

    async def _publish(self) -> Snapshot:
        """This worker's figures, which its file has before anybody sees them."""
        snapshot = self._snapshot()
        await asyncio.to_thread(replace_object, self._file(self._name), snapshot)
        return snapshot

    def _snapshot(self) -> Snapshot:
        return {
            "families": self._metrics.families(),
            "status": self._status.as_json(),
            "intervals": self._history.intervals(),
        }

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}.json"

    def _socket(self, name: str) -> str:
        return f"/proc/self/fd/{self._handle}/{name}.socket"  # NOTE: an address of a socket has at most 107 bytes


def _ended(folder: Path, names: list[str]) -> Snapshot:
    """The sums of all ended workers, after merging the files of these into one."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        last = read_object(folder / f"{ENDED}.json")
        for name in names:
            file = folder / f"{name}.json"
            if one := read_object(file):
                states = [known["status"] for known in (last, one) if known]
                counts = [known["counts"] for known in states]
                candidates = {name: summed_candidates(known[name] for known in states) for name in CANDIDATES}
                last = {
                    "families": merged([last.get("families", []), lasting(one["families"])]),
                    "status": {"counts": {key: sum(each[key] for each in counts) for key in counts[0]}, **candidates},
                    "intervals": summed((known["intervals"] for known in (last, one) if known), time.monotonic()),
                }
                replace_object(folder / f"{ENDED}.json", last)
            file.unlink(missing_ok=True)
            (folder / f"{name}.socket").unlink(missing_ok=True)
        return last
