"""A comparison with transformers' pipeline of the model's folder, in this process, in float32."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeld.classifier import Classifier
from labeld.comparison.answers import PeerRanking, Row
from labeld.comparison.in_process import OfLabeld, OfTransformers, Rank, run_lists
from labeld.comparison.labels import LabelMatch, read_label_map
from labeld.comparison.load import Watch, require_answers
from labeld.comparison.options import CompareOptions
from labeld.comparison.processes import own_memory
from labeld.comparison.result import Comparison, ModelFacts, Side, result_of
from labeld.config.settings import Settings
from labeld.system.cpu import usable_cores
from labeld.types import Text


@dataclass(frozen=True, slots=True)
class TransformersComparison:
    """A comparison with transformers, which has yet to be made. Its `connections` are the texts of a list."""

    options: CompareOptions
    rows: Sequence[Row]
    settings: Settings
    folder: Path
    """Of the model."""
    watch: Watch

    def run(self) -> Comparison:
        """The result; raises LabeldError where there is nothing to report."""
        with Classifier.from_settings(self.settings) as classifier:
            facts = ModelFacts(classifier.model_id, classifier.revision, classifier.precision, classifier.labels)
            return self._compare(classifier, facts)

    def _compare(self, classifier: Classifier, facts: ModelFacts) -> Comparison:
        options = self.options
        thresholds = options.thresholds_of(facts.labels)
        match = LabelMatch(facts.labels, read_label_map(options.label_map, facts.labels))
        ours, theirs = Side("labeld"), Side("transformers")
        rank_own = OfLabeld(classifier, truncation=options.truncation)
        self._ask(ours, rank_own, range(len(self.rows)), 1)
        before = own_memory()
        library = OfTransformers(self.folder, truncation=options.truncation, threads=self.settings.compute.threads)

        def rank_theirs(texts: Sequence[Text]) -> list[PeerRanking]:
            return [match.ranking(one) for one in library(texts)]

        self._ask(theirs, rank_theirs, ours.passes[0].answers, 1)
        theirs.memory, theirs.memory_of = own_memory() - before, "growth of this process"
        ours.memory, ours.memory_of = before, "this process, before transformers was loaded"
        both = sorted(theirs.passes[0].answers)
        if options.connections > 1 and not theirs.passes[0].stopped:
            self._ask(ours, rank_own, both, options.connections)
            self._ask(theirs, rank_theirs, both, options.connections)
        ours.cores = theirs.cores = self.settings.compute.threads or usable_cores()
        return result_of(
            facts,
            self.rows,
            ours,
            theirs,
            against="transformers in this process, in float32",
            dialect=None,
            unit="texts at once",
            thresholds=thresholds,
            core_hour=options.core_hour,
            tokens={one: library.tokens(self.rows[one].text) for one in ours.passes[0].answers},
            notes=match.notes,
        )

    def _ask(self, side: Side, rank: Rank, positions: Iterable[int], size: int) -> None:
        rows = {one: self.rows[one] for one in positions}
        on_done = self.watch(f"{side.name}, {size} at once", len(rows))
        done = run_lists(side.name, rank, rows, size, self.options.max_seconds, on_done)
        side.passes.append(require_answers(done) if size == 1 else done)
