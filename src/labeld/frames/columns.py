"""The columns of a table that are read and added, and a table with the answers to its texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labeld.errors import InvalidRequestError, LabeldError, SettingsError
from labeld.frames.formats import Answers, format_of, values
from labeld.frames.rows import Describe, Row, of_row, read_texts
from labeld.service.inputs import Input
from labeld.types import Ranking

Rank = Callable[[list[Input]], Sequence[Ranking]]
"""Texts -> their rankings; a LabeldError has the position of its text as `index`."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of columns; raises SettingsError where two are the same."""

    text: str = "text"
    pair: str | None = None
    """None where texts are no pairs."""
    label: str = "label"
    score: str = "score"
    ranking: str | None = None
    """None where whole rankings are not added."""
    skip_nulls: bool = False
    """Whether a row without a text has null answers instead of an error."""

    def __post_init__(self) -> None:
        columns = (self.text, self.pair, self.label, self.score, self.ranking)
        named = [name for name in columns if name is not None]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise SettingsError(f"The column {twice[0]!r} is named twice: give each column a name of its own.")

    @property
    def inputs(self) -> list[str]:
        """Those that are read."""
        return [self.text] if self.pair is None else [self.text, self.pair]

    def top_k(self, asked: int | None) -> int | None:
        """Labels of a ranking to be computed; raises SettingsError for several where no ranking is added."""
        if self.ranking is not None:
            return asked
        if asked not in {None, 1}:
            raise SettingsError("top_k is the length of rankings: name a column for them in ranking_column.")
        return 1

    def extended(self, table: Any, rank: Rank) -> Any:
        """A table of the same kind with the answers behind its columns; the one that is given is not changed.

        Raises LabeldError for a table without the columns, and for the first text that cannot be classified: its
        sentence names the row by its position in this table and by the value of its first other column.
        """
        kind = format_of(table)
        names = kind.names(table)
        self._check(names)
        others = [name for name in names if name not in self.inputs and names.count(name) == 1]

        def describe(position: int) -> str:
            return f" ({others[0]}: {str(values(table, others[0])[position])[:40]!r})" if others else ""

        return kind.extended(table, self.answers([values(table, name) for name in self.inputs], rank, describe))

    def answers(self, columns: list[list[Any]], rank: Rank, describe: Describe = lambda _: "") -> Answers:
        """The answers to rows of texts or of pairs, given by columns."""
        rows = read_texts(columns, self.inputs, describe, skip=self.skip_nulls)
        rankings: list[Ranking | None] = [None] * len(columns[0])
        for row, ranking in zip(rows, self._rankings(rows, rank, describe), strict=True):
            rankings[row.position] = ranking
        best = [ranking[0] if ranking else None for ranking in rankings]
        return Answers(
            (self.label, [one and one.label for one in best]),
            (self.score, [one and one.score for one in best]),
            (self.ranking, rankings) if self.ranking else None,
        )

    def _rankings(self, rows: list[Row], rank: Rank, describe: Describe) -> Sequence[Ranking]:
        if not rows:
            return []
        try:
            return rank([row.text for row in rows])
        except LabeldError as error:
            if (index := getattr(error, "index", None)) is None:
                raise
            raise of_row(error, rows[index].position, self.inputs, describe) from None

    def _check(self, names: list[Any]) -> None:
        shown = ", ".join(map(str, names))[:200]
        for name in self.inputs:
            if name not in names:
                raise InvalidRequestError(
                    f"The batch has no column {name!r}, but {shown or 'none at all'}: name the right one in "
                    f"{'text_column' if name == self.text else 'pair_column'}."
                )
            if names.count(name) > 1:
                raise InvalidRequestError(
                    f"The batch has the column {name!r} twice, so that its texts cannot be told apart: give each "
                    "column a name of its own."
                )
        for option in ("label", "score", "ranking"):
            if (name := getattr(self, option)) in names:
                raise InvalidRequestError(
                    f"The batch already has a column {name!r}: give another name for the answers in {option}_column."
                )
