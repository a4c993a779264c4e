"""Mounts: disks that are full, read-only and slow below the cache folder, the store and the access tokens.

The seeded fault acknowledges an access token that the disk has refused.
"""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from benchmarks.lib.known import Scores
from benchmarks.lib.report import Figure
from labeld.repository.folders import BUNDLED
from reliability.lib.models import known, tiny_models
from reliability.lib.mounts import fill, may_mount, read_only, slow_disk, small_disk
from reliability.lib.outcomes import outcome
from reliability.lib.questions import TEXTS
from reliability.lib.run import Run
from reliability.lib.server import command, environment, serving
from tests.support.local_hub import LocalHub, local_hub
from tests.support.server_process import Server, wait_until
from tests.support.token_changes import integrity

FULL = 50
DISK = 96
"""MiB; a download leaves 64 free."""
LOADED, OTHER, FROM_HUB = "org/bert", "a/same", "hub/bert"
ASKED = TEXTS[:4]
LARGE = "labeld/language-20"
SLOW = 2_000_000
"""Bytes per second: the large model has nine million."""
LOADS_FROM = 3.0
"""Seconds, at least: or its disk was not slow."""
BACK_WITHIN, BAR_SECONDS = 30.0, 2.0


@dataclass
class _Disk:
    """A server's folders on one disk, and what has been seen of it."""

    run: Run
    folder: Path
    models: Path
    answers: dict[str, list[Scores]]
    counts: Counter[str] = field(default_factory=Counter)
    first: str = ""
    """What was neither right nor clear."""
    slowest: float = 0.0
    slow_loads: list[float] = field(default_factory=list)
    """Seconds in which the large model was loaded from a slow disk."""

    def variables(self, **others: str) -> dict[str, str]:
        """For labeld commands, whose cache, store and access tokens are on this disk."""
        places = {"LABELD_CACHE_DIR": f"{self.folder}/cache", "LABELD_TOKENS_DB": f"{self.folder}/tokens/tokens.db"}
        return {**places, **others}

    @contextmanager
    def server(self, hub: LocalHub, **options: object) -> Iterator[Server]:
        """A server of the tests' models and of this Hub."""
        variables = self.variables(LABELD_HUB="any", HF_ENDPOINT=hub.url, HF_HUB_CACHE=str(self.run.folder / "none"))
        with serving(self.run, LOADED, "--models-dir", str(self.models), variables=variables, **options) as server:
            yield server

    def ask(self, server: Server, token: str, model: str = LOADED) -> str:
        """What a request comes to; `let in` and `kept out` count elsewhere."""
        body: dict[str, Any] = {"inputs": list(ASKED), "options": {"use_cache": False, "wait_for_model": True}}
        began = time.monotonic()
        try:
            reply = requests.post(
                f"{server.url}/models/{model}", json=body, headers={"authorization": f"Bearer {token}"}, timeout=60
            )
        except requests.RequestException as error:
            return self.note(model, type(error).__name__)
        if model == LOADED:
            self.slowest = max(self.slowest, time.monotonic() - began)
        if reply.status_code == 401:
            return "401"
        return self.note(model, outcome(reply, [self.answers[model.replace("hub/", "org/")]]))

    def note(self, what: str, found: str) -> str:
        """Counts an outcome."""
        self.counts[found if found in {"right", "refused"} else "unclear"] += 1
        if found not in {"right", "refused"}:
            self.first = self.first or f"{what}: {found}"
        return found

    def tokens(self, *arguments: str) -> str | None:
        """The output of a command about access tokens; None where it said why it could not."""
        done = subprocess.run(
            [*command(self.run), "tokens", *arguments],
            env=environment(self.run, **self.variables()),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode == 0:
            return done.stdout.strip()
        is_clear = "Traceback" not in done.stderr and len(done.stderr) > 20
        self.note(f"tokens {arguments[0]}", "refused" if is_clear else done.stderr[-300:])
        return None

    def create(self, name: str) -> tuple[str, str]:
        """Id and text of a new access token; empty where the command said why there is none."""
        made = json.loads(self.tokens("create", name, "--json") or "{}")
        return made.get("id", ""), made.get("token", "")

    def holds(self, server: Server, token: str, *, known: bool) -> bool:
        """Whether an access token comes to count, or no longer to count, and is counted where it does not."""
        held = wait_until(lambda: (self.ask(server, token) != "401") is known, BACK_WITHIN)
        self.counts["changes that do not hold"] += not held
        return held


def check(run: Run) -> list[Figure]:
    """Each kind of disk, once or several times."""
    if not may_mount(run.folder):
        return [Figure("mounts", "full, read-only and slow disks: left out, this user may not mount", 0, "")]
    models = tiny_models(run.folder)
    answers = known(models, ASKED, [LOADED, OTHER])
    disk = _Disk(run, run.folder / "disk", models, answers)
    with local_hub() as hub:
        hub.add(FROM_HUB, {path.name: path.read_bytes() for path in (models / LOADED).iterdir()})
        for _ in run.rounds(FULL):
            with small_disk(disk.folder, DISK):
                _full(disk, hub)
            with small_disk(disk.folder, DISK):
                _read_only(disk, hub)
            _slow(disk, hub)
    seen = {name: disk.counts[name] for name in ("right", "refused")}
    lost, again = disk.counts["changes that do not hold"], disk.counts["again"]
    if disk.slow_loads:
        slow = Figure("mounts", "loading a model from a slow disk", min(disk.slow_loads), "s", LOADS_FROM, "at least")
    else:
        slow = Figure("mounts", "a slow disk: left out, it needs control groups of version 1", 0, "")
    return [
        Figure(
            "mounts",
            "wrong answers, unclear errors",
            disk.counts["unclear"],
            "",
            0,
            detail={**seen, **({"first": disk.first} if disk.first else {})},
        ),
        Figure("mounts", "acknowledged changes of access tokens that do not hold", lost, "", 0),
        Figure("mounts", "half a model in the store, or a damaged database", disk.counts["damaged"], "", 0),
        Figure("mounts", "what works again afterwards", again, "", disk.counts["to work again"], "at least"),
        Figure("mounts", "slowest answer of a loaded model", disk.slowest, "s", BAR_SECONDS),
        slow,
    ]


def _full(disk: _Disk, hub: LocalHub) -> None:
    """The disk fills while a server runs, and another server starts on it; then there is room again."""
    (_, token), old = disk.create("first"), disk.create("second")
    with disk.server(hub) as server:
        disk.holds(server, token, known=True)
        filler = fill(disk.folder)
        for model in (LOADED, OTHER, FROM_HUB, LOADED):
            disk.ask(server, token, model)
        _look_at(disk)
        _change(disk, server, old)
        with suppress(TimeoutError), disk.server(hub) as another:
            disk.ask(another, token)
        filler.unlink()
        _again(disk, disk.ask(server, token, FROM_HUB) == "right")
        _again(disk, _change(disk, server))
        _look_at(disk)


def _read_only(disk: _Disk, hub: LocalHub) -> None:
    """A server starts on a disk that may only be read, which it may write to later."""
    _, token = disk.create("first")
    with disk.server(hub) as server:
        disk.holds(server, token, known=True)
    with read_only(disk.folder), disk.server(hub) as server:
        disk.holds(server, token, known=True)
        for model in (LOADED, OTHER, FROM_HUB, LOADED):
            disk.ask(server, token, model)
        _change(disk, server)
    with disk.server(hub) as server:
        _again(disk, disk.ask(server, token, FROM_HUB) == "right")
        _again(disk, _change(disk, server))
    _look_at(disk)


def _slow(disk: _Disk, hub: LocalHub) -> None:
    """A model is read slowly while another one answers; nothing where there is no such disk."""
    with slow_disk(disk.folder, DISK) as slow:
        if slow is None:
            return
        _, token = disk.create("first")
        folder = disk.folder / LARGE
        folder.mkdir(parents=True)
        for path in (BUNDLED / LARGE).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (disk.models / "slow").symlink_to(folder.parent, target_is_directory=True)
        try:
            with disk.server(hub, preexec_fn=slow.enter) as server:
                disk.holds(server, token, known=True)
                slow.forget()
                slow.limit(SLOW)
                statuses: list[int] = []
                began = time.monotonic()
                asking = threading.Thread(target=lambda: statuses.append(_load(server, token)))
                asking.start()
                while asking.is_alive():
                    disk.ask(server, token)
                    time.sleep(0.05)
                disk.slow_loads.append(time.monotonic() - began)
                slow.limit(0)
                _again(disk, statuses == [200])
        finally:
            (disk.models / "slow").unlink()


def _load(server: Server, token: str) -> int:
    headers = {"authorization": f"Bearer {token}", "x-wait-for-model": "true"}
    body = {"inputs": "Guten Morgen, wie geht es dir?"}
    name = LARGE.rpartition("/")[2]
    return requests.post(f"{server.url}/models/slow/{name}", json=body, headers=headers, timeout=120).status_code


def _change(disk: _Disk, server: Server, old: tuple[str, str] = ("", "")) -> bool:
    """A token is made, and an old one revoked: what was acknowledged holds. Whether the new one was made."""
    token_id, token = disk.create(f"at {time.monotonic_ns()}")
    if token_id:
        disk.holds(server, token, known=True)
    if old[0] and disk.tokens("revoke", old[0]) is not None:
        disk.holds(server, old[1], known=False)
    return bool(token_id)


def _again(disk: _Disk, works: bool) -> None:  # noqa: FBT001  # what was seen
    disk.counts["to work again"] += 1
    disk.counts["again"] += works


def _look_at(disk: _Disk) -> None:
    """Counts a model of the store that is not whole, and a database that is damaged."""
    wanted = {path.name: path.read_bytes() for path in (disk.models / LOADED).iterdir()}
    for folder in (disk.folder / "cache/models").glob("*/*"):
        if folder.is_dir() and folder.suffix != ".partial":
            names = [name for name in wanted if (folder / name).exists()]
            disk.counts["damaged"] += any((folder / name).read_bytes() != wanted[name] for name in names)
    disk.counts["damaged"] += integrity(disk.folder / "tokens/tokens.db") != "ok"
