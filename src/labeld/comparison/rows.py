"""The rows of the input that are compared: the first ones that have a text."""

from collections.abc import Sequence
from dataclasses import dataclass

from labeld.comparison.answers import Row
from labeld.comparison.result import Failure
from labeld.errors import InvalidRequestError
from labeld.files.reader import open_rows
from labeld.types import Text


@dataclass(frozen=True, slots=True)
class Input:
    """The files that hold the texts, and where in them the texts are."""

    files: Sequence[str]
    column: str
    pair_column: str | None
    limit: int
    """Texts that are compared, at most."""
    format: str | None = None

    def read(self) -> tuple[list[Row], list[Failure]]:
        """The first rows, and the bad ones among them; raises LabeldError where there is no text at all."""
        columns = [self.column] if self.pair_column is None else [self.column, self.pair_column]
        rows: list[Row] = []
        bad: list[Failure] = []
        for part in open_rows(self.files, columns, format=self.format):
            texts = zip(*(part.column(name) for name in columns), strict=True)
            for line, (text, *pair) in zip(part.lines.tolist(), texts, strict=True):
                rows.append(Row(part.file, line, Text(text, (pair[0] or None) if pair else None)))
            enough = len(rows) >= self.limit
            last = rows[self.limit - 1] if enough else None
            bad += [
                Failure(one.file, one.line, f"It {one.reason}.")
                for one in part.bad
                if last is None or one.file != last.file or one.line < last.line
            ]
            if enough:
                break
        if not rows:
            first = f" (line {bad[0].line}: {bad[0].reason.rstrip('.')})" if bad else ""
            raise InvalidRequestError(
                f"{self.files[0]} has no row with a text in column {self.column!r}{first}: name another --column, or "
                "a file with texts."
            )
        return rows[: self.limit], bad
