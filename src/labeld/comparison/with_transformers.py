"""A comparison with transformers' pipeline of the model's folder, in this process, in float32."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labeld.classifier import Classifier
from labeld.comparison.answers import Pass, PeerRanking, Row
from labeld.comparison.in_process import OfLabeld, OfTransformers, Rank, run_lists
from labeld.comparison.labels import LabelMatch, read_label_map
from labeld.comparison.load import Watch, blocks, require_answers
from labeld.comparison.options import CompareOptions
from labeld.comparison.processes import own_memory
from labeld.comparison.result import Comparison, ModelFacts, Side, result_of
from labeld.config.settings import Settings
from labeld.errors import LabeldError
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
        with suppress(LabeldError):
            rank_own([self.rows[0].text])  # so that its memory is that of a model that has computed
        ours.memory, ours.memory_of = own_memory(), "this process, before transformers was loaded"
        library = OfTransformers(self.folder, truncation=options.truncation, threads=self.settings.compute.threads)

        def rank_theirs(texts: Sequence[Text]) -> list[PeerRanking]:
            return [match.ranking(one) for one in library(texts)]

        positions: Sequence[int] = range(len(self.rows))
        for size in dict.fromkeys((1, options.connections)):
            done = self._take_turns({"labeld": rank_own, "transformers": rank_theirs}, positions, size)
            for side, one in zip((ours, theirs), done, strict=True):
                side.passes.append(require_answers(one) if size == 1 else one)
            if any(one.stopped for one in done):
                break
            positions = sorted(done[1].answers)
        theirs.memory, theirs.memory_of = own_memory() - ours.memory, "growth of this process"
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

    def _take_turns(self, sides: Mapping[str, Rank], positions: Sequence[int], size: int) -> list[Pass]:
        """One pass of each side, block by block in turn; transformers gets only what labeld has answered."""
        watched = [self.watch(f"{name}, {size} at once", len(positions)) for name in sides]
        parts: list[list[Pass]] = [[] for _ in sides]
        for block in blocks(positions):
            asked_for = block
            for (name, rank), on_done, its_parts in zip(sides.items(), watched, parts, strict=True):
                seconds = self.options.max_seconds - sum(one.seconds for one in its_parts)
                rows = {one: self.rows[one] for one in asked_for}
                its_parts.append(run_lists(name, rank, rows, size, seconds, on_done))
                asked_for = sorted(its_parts[-1].answers)
            if any(its_parts[-1].stopped for its_parts in parts):
                break
        return [Pass.joined(its_parts) for its_parts in parts]
