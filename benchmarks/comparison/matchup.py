"""One variant of a peer against labeld: started, its scores checked, both under the same loads in turn, and ended."""

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison import closed_loop
from benchmarks.comparison.control import control
from benchmarks.comparison.ours import Ours, our_body
from benchmarks.comparison.replies import BAR, Scores, difference, rankings
from benchmarks.comparison.schedule import DRAIN_SECONDS, MANY, PEER, Load, Schedule, Who
from benchmarks.comparison.traffic import Traffic
from benchmarks.lib import open_loop
from benchmarks.lib.peer import Peer, PeerError, Variant
from benchmarks.lib.peer_environment import Environment
from benchmarks.lib.peer_process import HEADERS, Running, RunningLibrary, RunningServer, peer_process
from labeld.literals import Precision
from labeld.types import Text

PATIENCE = 10.0
"""Seconds for which the open loop waits for answers after its arrivals have ended."""
LEFT_SECONDS = 5.0
"""At most, for the requests that are unanswered when a load ends."""
FEW = 64
"""Texts by which a library's speed is estimated, so that a round lasts as long as planned."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a peer may take before it counts as hanging, in seconds."""

    prepare: float = 900.0
    """For its first start ever with a model, in which it may export files."""
    start: float = 180.0
    answer: float = 60.0


@dataclass(frozen=True, slots=True)
class Matchup:
    """A variant, its environment and what it is measured against."""

    peer: Peer
    variant: Variant
    environment: Environment
    traffic: Traffic
    expected: Sequence[Scores]
    """transformers' scores of the texts that are checked."""
    ours: Mapping[Precision, Ours]
    schedule: Schedule
    cache: Path
    spent: Callable[[str, float], None]
    """Called with what was done and how many of the expected seconds it was."""
    limits: Limits = Limits()

    def run(self) -> dict[str, Any]:
        """Measures everything and returns the record; raises PeerError when the peer fails."""
        controls = [control()]
        measure = self._library if self.peer.in_process else self._server
        found = measure()
        controls.append(control())
        return {**self.describe(), **found, "control": [one._asdict() for one in controls]}

    def describe(self) -> dict[str, Any]:
        """The variant and its versions, for a record."""
        return {
            "peer": self.peer.name,
            "title": self.peer.title,
            "variant": self.variant.name,
            "precision": self.variant.precision,
            "engine": self.variant.engine,
            "in_process": self.peer.in_process,
            "model": self.traffic.model,
            "versions": self.environment.versions,
        }

    def _server(self) -> dict[str, Any]:
        body = self.peer.request_body(self.traffic.checked[0]).encode()
        if self._unprepared():
            with self._started() as server:
                assert isinstance(server, RunningServer)
                server.first_answer(body, self.limits.prepare)
            self._prepared()
        with self._started() as server:
            assert isinstance(server, RunningServer)
            first_answer_s = server.first_answer(body, self.limits.start)
            off = self._check(self._scores(server))
            self.spent("scores are right", 0.0)
            rates: dict[tuple[str, int, Who], list[closed_loop.Load]] = defaultdict(list)
            for load in self.schedule.closed(self.variant, self.traffic.model, in_process=False):
                with self._paused(server, load.who):
                    rates[load[:3]].append(self._closed(server, load))
                server.peak_memory()
            capacity = median(one.rate for one in rates[self.traffic.main, MANY, PEER])
            opened = [
                self._open(server, share, who, share * capacity, lasts)
                for share, who, lasts in self.schedule.open(self.variant, self.traffic.model, in_process=False)
            ]
            return {
                "command": server.portable_command,
                "environment": dict(self.variant.environment),
                "difference": off,
                "first_answer_s": first_answer_s,
                "peak_mb": server.peak_memory() / 1e6,
                "loads": [_line(*which, found) for which, found in rates.items()],
                "open": opened,
            }

    def _library(self) -> dict[str, Any]:
        with self._started() as library, tempfile.TemporaryDirectory() as folder:
            assert isinstance(library, RunningLibrary)
            texts = self.traffic.requests[self.traffic.main]
            limit = self.limits.prepare if self._unprepared() else self.limits.start
            checked = library.answers(_file(folder, self.traffic.checked), limit)
            self._prepared()
            off = self._check(rankings(checked.rankings))
            some = list(islice(cycle(texts), FEW))
            speed = FEW / library.answers(_file(folder, some), self.limits.start).seconds
            rates: dict[tuple[str, int, Who], list[closed_loop.Load]] = defaultdict(list)
            for load in self.schedule.closed(self.variant, self.traffic.model, in_process=True):
                if load.who == PEER:
                    asked = list(islice(cycle(texts), max(FEW, int(speed * load.seconds))))
                    seconds = library.answers(_file(folder, asked), self.limits.start).seconds
                    rates[load[:3]].append(closed_loop.Load(len(asked) / seconds, float("nan"), float("nan")))
                    self.spent("in its process", load.lasts)
                else:
                    with self._paused(library, load.who):
                        rates[load[:3]].append(self._closed(None, load))
            return {
                "command": library.portable_command,
                "environment": dict(self.variant.environment),
                "difference": off,
                "peak_mb": library.peak_memory() / 1e6,
                "loads": [_line(*which, found) for which, found in rates.items()],
                "open": [],
            }

    def _started(self) -> RunningLibrary | RunningServer:
        return peer_process(self.peer, self.variant, self.environment.python, self.traffic.folder, self.cache)

    def _marker(self) -> Path:
        own = self.environment.python.parents[1]  # made anew with its environment
        return (
            own
            / f"prepared-{self.traffic.folder.name}-{self.variant.name}-{self.variant.precision}-{self.variant.engine}"
        )

    def _unprepared(self) -> bool:
        return not self._marker().exists()

    def _prepared(self) -> None:
        self._marker().touch()

    def _scores(self, server: RunningServer) -> list[Scores]:
        found = []
        for text in self.traffic.checked:
            try:
                status, reply = server.ask(self.peer.request_body(text).encode(), self.limits.answer)
            except (OSError, HTTPException) as error:
                server.check()
                raise PeerError(f"it did not answer a text: {error}") from error
            if status != 200:
                raise PeerError(f"it answered {status}: {reply[:200].decode(errors='replace')}")
            try:
                found += rankings(json.loads(reply))
            except ValueError:
                raise PeerError(f"it answered what is no JSON: {reply[:200]!r}") from None
        return found

    def _check(self, scores: list[Scores]) -> float:
        off = difference(self.expected, scores)
        if self.variant.precision == "float32" and not off <= BAR:
            raise PeerError(f"its scores are wrong: up to {off:.2g} away from transformers'; it is not timed.")
        return off

    def _closed(self, server: RunningServer | None, load: Load) -> closed_loop.Load:
        """One load of the peer or of labeld."""
        texts = self.traffic.requests[load.mix]
        if load.who == PEER:
            assert server is not None
            port, path, bodies = server.port, server.path, [self.peer.request_body(text) for text in texts]
        else:
            ours = self.ours[load.who].server
            port, path, bodies = ours.port, ours.path, [our_body(text) for text in texts]
        try:
            found = closed_loop.load(port, path, bodies, load.seconds, load.connections)
        except PeerError as error:
            if load.who != PEER:
                sys.exit(f"labeld in {load.who} failed under load: {error}")
            assert server is not None
            server.check()
            raise
        if load.who == PEER:  # which goes on with what wrk left unanswered, and would do so in its next turn
            time.sleep(min(load.connections / found.rate, LEFT_SECONDS))
        who = self.peer.title if load.who == PEER else f"labeld {load.who}"
        self.spent(f"{who}, {load.connections} connections, {load.mix}: {found.rate:.0f}/s", load.lasts)
        return found

    def _paused(self, server: Running, who: Who) -> AbstractContextManager[None]:
        """Pauses the peer while labeld is asked, if the peer can be stopped."""
        return nullcontext() if who == PEER or not self.peer.stoppable else server.paused()

    def _open(self, server: RunningServer, share: float, who: Who, rate: float, lasts: float) -> dict[str, Any]:
        """One open loop of the peer or of labeld."""
        texts = self.traffic.requests[self.traffic.main]
        if who == PEER:
            asked, bodies = server, [self.peer.request_body(text).encode() for text in texts]
        else:
            asked, bodies = self.ours[who].server, [our_body(text).encode() for text in texts]
        with self._paused(server, who):
            found = open_loop.run(asked.port, asked.path, bodies, rate, lasts, headers=HEADERS, patience=PATIENCE)
        if who == PEER:
            server.check()
        self.spent(f"open loop at {share:.0%}, {who}", lasts + DRAIN_SECONDS)
        return {"share": share, "who": who, **found.detail()}


def _file(folder: str, texts: Sequence[Text]) -> Path:
    file = Path(folder, "texts.jsonl")
    file.write_text("".join(json.dumps({"text": one.text, "pair": one.pair}) + "\n" for one in texts))
    return file


def _line(mix: str, connections: int, who: Who, found: Sequence[closed_loop.Load]) -> dict[str, Any]:
    """The rounds of one load."""
    return {
        "mix": mix,
        "connections": connections,
        "who": who,
        "rates": [one.rate for one in found],
        "p50_ms": [one.p50_ms for one in found],
        "p99_ms": [one.p99_ms for one in found],
    }
