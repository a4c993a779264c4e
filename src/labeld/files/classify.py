"""The texts of files classified: reading, computing and writing at the same time, part by part."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from labeld.classifier import Classifier, RankingParameters
from labeld.config.precision import parse_precisions
from labeld.config.settings import Settings
from labeld.errors import LabeldError
from labeld.files.arrow import pa
from labeld.files.encoding import SCORES
from labeld.files.errors import FileError
from labeld.files.output import Output
from labeld.files.reader import Part, Rows
from labeld.interface import Interface
from labeld.service.build import streams_and_threads
from labeld.service.inputs import Input
from labeld.types import Ranking

STREAMS = 2
"""Batches that are computed at once in float32."""


def for_throughput(settings: Settings) -> Settings:
    """The settings with two streams in float32, where they leave the number open and there are threads for both.

    1.19 times the tokens/s of one stream on 2 cores; a server has one, for its memory and single texts (decision 15).
    The other precisions compute batches side by side in one stream.
    """
    streams, threads = streams_and_threads(settings.compute)
    is_float32 = parse_precisions(settings.precisions.precision).only_float32
    if settings.compute.streams or not is_float32 or not streams < STREAMS <= threads:
        return settings
    return replace(settings, compute=replace(settings.compute, streams=STREAMS))


class Columns(NamedTuple):
    """The names of columns."""

    text: str
    pair: str | None
    """None where texts are no pairs."""
    label: str
    """Added: the best label."""
    score: str
    """Added: its score."""
    scores: str | None
    """Added, unless it is None: all labels with their scores, best first."""

    def require_different(self) -> None:
        """Raises FileError where two columns have one name, or one that is added has none."""
        if any(not field.name for field in self.added):
            raise FileError("A column that is added has no name: give --label-column and --score-column one each.")
        named = [*self.texts, *(field.name for field in self.added)]
        if twice := next((name for name in named if named.count(name) > 1), None):
            raise FileError(f"The column {twice!r} is named twice: give each column a name of its own.")

    @property
    def texts(self) -> list[str]:
        """Those that are read."""
        return [self.text] if self.pair is None else [self.text, self.pair]

    @property
    def added(self) -> list[Any]:
        """Those that are added, as pyarrow.Fields."""
        fields = [pa.field(self.label, pa.string()), pa.field(self.score, pa.float64())]
        return fields if self.scores is None else [*fields, pa.field(self.scores, SCORES)]


def classify_parts(
    classifier: Classifier, rows: Rows, columns: Columns, parameters: RankingParameters, output: Output
) -> Generator[Part, None, None]:
    """Adds every part that the output does not have yet with its answers, and gives each when it is written.

    A text that cannot be classified is a bad row. Raises LabeldError; what was written before stays.
    """

    def write(part: Part, found: Sequence[Ranking | LabeldError]) -> Part:
        part = part.without({at: reason(one) for at, one in enumerate(found) if isinstance(one, LabeldError)})
        rankings = [one for one in found if not isinstance(one, LabeldError)]
        output.add(part, _values(rankings, columns))
        return part

    done: Future[Part] | None = None
    with (
        ThreadPoolExecutor(1, "labeld-write") as writer,
        closing(_answered(classifier, rows, output.done.parts, columns, parameters)) as answered,
    ):
        for part, found in answered:
            if done:
                yield done.result()
            done = writer.submit(write, part, found)
        if done:
            yield done.result()


def _answered(
    classifier: Classifier, rows: Rows, skipped: int, columns: Columns, parameters: RankingParameters
) -> Generator[tuple[Part, list[Ranking | LabeldError]], None, None]:
    """Each part but the first ones with what has become of its texts, computed apart from those of other parts.

    A run that goes on with the next part has then the same scores, to the last bit, as one that was not broken.
    """
    waiting: deque[Part] = deque()
    failure: LabeldError | None = None

    def groups() -> Generator[Iterator[Input], None, None]:
        nonlocal failure
        try:
            with closing(iter(rows)) as read:
                for part in islice(read, skipped, None):
                    waiting.append(part)
                    yield _inputs(part, columns)
        except LabeldError as error:  # the end of a damaged file: what was read before is answered first
            failure = error

    with closing(groups()) as inputs, closing(classifier.group_outcomes(inputs, **parameters)) as outcomes:
        for found in outcomes:
            yield waiting.popleft(), found
    if failure is not None:
        raise failure


def _inputs(part: Part, columns: Columns) -> Iterator[Input]:
    if columns.pair is None:
        return iter(part.column(columns.text))
    return zip(part.column(columns.text), part.column(columns.pair), strict=True)


def _values(rankings: Sequence[Ranking], columns: Columns) -> list[list[Any]]:
    """The added columns; null where no label reaches the threshold of the configuration."""
    best = [ranking[0] if ranking else None for ranking in rankings]
    values: list[list[Any]] = [[one and one.label for one in best], [one and one.score for one in best]]
    return values if columns.scores is None else [*values, [[one._asdict() for one in ranking] for ranking in rankings]]


def reason(error: LabeldError) -> str:
    """The sentence of a text's error without its number, which is none of the row's."""
    sentence = error.sentence(Interface.COMMAND_LINE)
    index = getattr(error, "index", None)
    return sentence if index is None else sentence.removeprefix(f"{Interface.COMMAND_LINE.text(index).capitalize()} ")
