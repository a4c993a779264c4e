"""A whole run: every peer is installed, then every variant measured in turn, whatever happens to the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.comparison.control import Control, reasons_void
from benchmarks.comparison.matchup import Limits, Matchup
from benchmarks.comparison.ours import labelds
from benchmarks.comparison.records import Records
from benchmarks.comparison.replies import reference
from benchmarks.comparison.schedule import Schedule
from benchmarks.comparison.traffic import PAIRS, Traffic, traffic
from benchmarks.lib.peer import PEERS, Peer, PeerError, Variant, read_peer
from benchmarks.lib.peer_environment import Environment, environment
from benchmarks.lib.report import Plan


class Entry(NamedTuple):
    """A variant that is to be measured."""

    peer: Peer
    variant: Variant
    environment: Environment


class Run:
    """One run of `compare` and the state of its records and controls."""

    def __init__(self, plan: Plan, schedule: Schedule, records: Records, console: Console) -> None:
        self._plan, self._schedule, self._records, self._console = plan, schedule, records, console
        self._controls: list[Control] = []
        self._limits = Limits()
        self._expected_so_far = 0.0
        """Seconds that were expected for what is over; a peer that fails takes less."""

    def measure(self, scripts: Sequence[Path], models: Sequence[str]) -> None:
        """Measures every variant of these peers with these models."""
        entries = [entry for script in scripts for entry in self._entries(script)]
        chosen = {model: [entry for entry in entries if _takes_part(entry, model)] for model in models}
        expected = sum(
            self._schedule.expected(entry.peer, entry.variant, model) for model in models for entry in chosen[model]
        )
        self._console.print(
            f"{sum(map(len, chosen.values()))} variants take about {expected / 60:.0f} minutes, beside what is made on "
            "first use (synthetic models, exported files)."
        )
        self._task = self._plan.progress.add_task("comparing", total=expected)
        for model, of_model in chosen.items():
            if of_model:
                self._model(traffic(self._plan, model), of_model)

    def void(self) -> list[str]:
        """Why the figures are void; nothing when they are not."""
        return reasons_void(self._controls)

    def _entries(self, script: Path) -> list[Entry]:
        """The variants of a script in their environment; a peer that cannot be installed has none."""
        try:
            peer = read_peer(script)
        except PeerError as error:
            self._absent(
                {"peer": script.stem, "title": script.stem, "variant": "", "precision": "", "model": ""}, error
            )
            return []
        try:
            installed = environment(peer, self._plan.cache, self._plan.progress)
        except PeerError as error:
            for variant in peer.variants:
                payload = {"variant": variant.name, "precision": variant.precision, "model": "every model"}
                self._absent({"peer": peer.name, "title": peer.title, **payload}, error)
            return []
        return [Entry(peer, variant, installed) for variant in peer.variants]

    def _model(self, asked: Traffic, entries: Sequence[Entry]) -> None:
        expected = reference(asked.folder, asked.checked, self._plan.cache)
        self._records.add({"kind": "traffic", "model": asked.model, "mean_tokens": asked.mean_tokens})
        with labelds(asked, expected, self._plan.cache) as ours:
            for entry in entries:
                matchup = Matchup(
                    entry.peer,
                    entry.variant,
                    entry.environment,
                    asked,
                    expected,
                    ours,
                    self._schedule,
                    self._plan.cache,
                    self._spent,
                    self._limits,
                )
                self._one(matchup)
            for one in ours.values():
                self._records.add(one.record())

    def _one(self, matchup: Matchup) -> None:
        """Measures one variant; when the peer fails, that is recorded and the run goes on."""
        progress, who = self._plan.progress, matchup.describe()
        total = self._schedule.expected(matchup.peer, matchup.variant, matchup.traffic.model)
        self._name = f"{who['title']}, {who['variant']}, {who['precision']}, {who['model']}"
        progress.update(self._task, description=f"{self._name}: starting")
        try:
            found = matchup.run()
        except PeerError as error:
            self._absent(who, error)
        else:
            self._controls += [Control(**one) for one in found["control"]]
            self._records.add({"kind": "peer", **found})
        self._expected_so_far += total
        progress.update(self._task, completed=self._expected_so_far)

    def _spent(self, what: str, seconds: float) -> None:
        self._plan.progress.update(self._task, advance=seconds, description=f"{self._name}: {what}")

    def _absent(self, who: dict[str, object], error: PeerError) -> None:
        self._records.add({"kind": "absent", **who, "reason": str(error)})
        self._console.print(f"[yellow]{who['title']}, {who['variant']}, {who['precision']}: {error}", markup=True)


def scripts(only: Sequence[str], folder: Path = PEERS) -> list[Path]:
    """The peers' scripts, or those named; raises PeerError naming one that is not there."""
    every = [script for script in sorted(folder.glob("*.py")) if not script.name.startswith("_")]
    names = {script.stem for script in every}
    for name in only:
        if name not in names:
            raise PeerError(f"There is no peer {name}, but {', '.join(sorted(names))}.")
    return [script for script in every if not only or script.stem in only]


def _takes_part(entry: Entry, model: str) -> bool:
    """Pairs are asked of documented variants only: the bars are about those, and pairs take long."""
    return model not in PAIRS or entry.variant.name == "documented"
