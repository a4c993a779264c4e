"""A comparison with a server at a URL: one of labeld is started beside it, and one client asks both, in turn."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeld.comparison.address import read_address
from labeld.comparison.answers import Pass, Row
from labeld.comparison.detection import FoundDialect, find_dialect, tensors_of
from labeld.comparison.dialects import DIALECTS, Asking
from labeld.comparison.labels import LabelMatch, read_label_map
from labeld.comparison.load import Watch, blocks, require_answers, run_pass
from labeld.comparison.options import CompareOptions
from labeld.comparison.own_server import OwnServer, own_server
from labeld.comparison.peer import AskedPeer, HttpPeer
from labeld.comparison.processes import listening_process, seen_process
from labeld.comparison.result import Comparison, ModelFacts, Side, result_of
from labeld.config.settings import Settings
from labeld.errors import InvalidRequestError
from labeld.system.cpu import usable_cores


@dataclass(frozen=True, slots=True)
class ServerComparison:
    """A comparison with a server, which has yet to be made."""

    options: CompareOptions
    rows: Sequence[Row]
    settings: Settings
    flags: Mapping[str, Any]
    """Those of the settings, for labeld's own server."""
    watch: Watch

    def run(self) -> Comparison:
        """The result; raises LabeldError where there is nothing to report."""
        return asyncio.run(self._run())

    async def _run(self) -> Comparison:
        address = read_address(self.options.against)
        async with self._client(self.options.against, "The peer", self.options.token) as peer:
            found = await self._dialect(peer)
            asking = await self._asking(peer, found)
            with own_server(self.options.model, self.flags) as server:
                async with self._client(server.url, "labeld") as own:
                    return await self._compare(
                        own, server, AskedPeer(peer, found.dialect, asking), found, address.shown
                    )

    async def _compare(
        self, own: HttpPeer, server: OwnServer, asked: AskedPeer, found: FoundDialect, against: str
    ) -> Comparison:
        options = self.options
        facts = _facts(await own.get_json(f"/models/{options.model}/info"))
        thresholds = options.thresholds_of(facts.labels)
        match = asked.match = LabelMatch(facts.labels, read_label_map(options.label_map, facts.labels))
        ask_own = AskedPeer(own, DIALECTS["hosted"], Asking(options.model, options.truncation))
        ours, theirs = Side("labeld"), Side("the peer")
        await self._ask_both(ours, ask_own, theirs, asked)
        self._see(ours, server.pid, theirs, asked.peer)
        refusals = asked.peer.refusals
        refused = f"The peer refused {refusals} requests with 429, and was asked again when it said so."
        return result_of(
            facts,
            self.rows,
            ours,
            theirs,
            against=against,
            dialect=f"{found.dialect.name}, {found.how}",
            unit="connections",
            thresholds=thresholds,
            core_hour=options.core_hour,
            tokens={one: answer.tokens for one, answer in ours.passes[0].answers.items() if answer.tokens},
            notes=[*match.notes, *([refused] if refusals else []), *_of_length(ours, options)],
        )

    async def _ask_both(self, ours: Side, ask_own: AskedPeer, theirs: Side, ask_peer: AskedPeer) -> None:
        """At one connection, then at as many as were asked for, only for texts that had an answer so far."""
        positions: Sequence[int] = range(len(self.rows))
        for connections in dict.fromkeys((1, self.options.connections)):
            done = await self._take_turns((ask_own, ask_peer), positions, connections)
            for side, one in zip((ours, theirs), done, strict=True):
                side.passes.append(require_answers(one) if connections == 1 else one)
            if any(one.stopped for one in done):
                return
            positions = sorted(done[1].answers)

    async def _take_turns(self, sides: Sequence[AskedPeer], positions: Sequence[int], connections: int) -> list[Pass]:
        """One pass of each side, block by block in turn; the peer is asked only for what labeld has answered."""
        plural = "s" if connections > 1 else ""
        watched = [
            self.watch(f"{asked.peer.name}, {connections} connection{plural}", len(positions)) for asked in sides
        ]
        parts: list[list[Pass]] = [[] for _ in sides]
        for block in blocks(positions):
            asked_for = block
            for asked, on_done, its_parts in zip(sides, watched, parts, strict=True):
                seconds = self.options.max_seconds - sum(one.seconds for one in its_parts)
                asked.peer.deadline = time.monotonic() + seconds
                rows = {one: self.rows[one] for one in asked_for}
                is_known = asked is sides[0] or any(one.answers for one in its_parts)
                done = await run_pass(
                    asked.peer.name, asked, rows, connections, seconds=seconds, on_done=on_done, is_known=is_known
                )
                its_parts.append(done)
                asked_for = sorted(done.answers)
            if any(its_parts[-1].stopped for its_parts in parts):
                break
        return [Pass.joined(its_parts) for its_parts in parts]

    def _client(self, url: str, name: str, token: str | None = None) -> HttpPeer:
        connections, timeout = self.options.connections, self.options.timeout
        return HttpPeer(read_address(url), name=name, token=token, connections=connections, timeout=timeout)

    async def _dialect(self, peer: HttpPeer) -> FoundDialect:
        chosen, model = self.options.chosen_dialect(), self.options.against_model or self.options.model_name
        if chosen is not None:
            found = FoundDialect(chosen, "as asked for")
        else:
            found = await find_dialect(peer, model, self.rows[0].text)
        if not found.dialect.takes_pairs and any(row.text.pair is not None for row in self.rows):
            raise InvalidRequestError(f"The dialect {found.dialect.name} has no pairs: leave out --pair-column.")
        return found

    async def _asking(self, peer: HttpPeer, found: FoundDialect) -> Asking:
        name = self.options.against_model or found.model or self.options.model_name
        asking = Asking(name, self.options.truncation)
        if found.dialect is DIALECTS["open-inference"]:
            return Asking(name, self.options.truncation, await tensors_of(peer, name))
        return asking

    def _see(self, ours: Side, pid: int, theirs: Side, peer: HttpPeer) -> None:
        """Memory and cores of both sides, as far as they can be seen."""
        own = seen_process(pid)
        if own is not None:
            ours.memory, ours.memory_of = own.memory, "its processes"
        ours.cores = self.settings.compute.threads or usable_cores()
        theirs.cores = self.options.against_cores
        if not peer.address.is_loopback:
            theirs.memory_of = "not seen: it is on another machine"
            return
        seen = listening_process(peer.address.port)
        if seen is None:
            theirs.memory_of = "not seen: its process is another user's, or in a container"
            return
        theirs.memory, theirs.memory_of = seen.memory, f"process {seen.pid} ({seen.name}) and those it started"
        theirs.cores = theirs.cores or seen.cores


def _of_length(ours: Side, options: CompareOptions) -> list[str]:
    """The way out for texts that labeld has refused, most of which are too long."""
    refused = len(ours.passes[0].failures)
    if options.truncation or not refused:
        return []
    return [f"labeld refused {refused} of the texts: --truncation cuts those that are too long for the model."]


def _facts(info: Mapping[str, Any]) -> ModelFacts:
    """What labeld's own server says of its model."""
    [described] = info["model_type"].values()
    names: Mapping[str, str] = described["id2label"]
    return ModelFacts(info["model_id"], info["model_sha"], info["model_dtype"], tuple(names.values()))
