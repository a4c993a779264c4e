"""The file of the rows with their answers, which a run that was killed can go on with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labeld.files.encoding import COMPRESS, Encoder, json_line
from labeld.files.finish import finish, require_writable
from labeld.files.formats import Format
from labeld.files.journal import Done, JournaledFile
from labeld.files.reader import Part
from labeld.files.sources import BadRow


class Output(JournaledFile):
    """The output of one run in its format."""

    def __init__(
        self, path: Path, kind: Format, encoder: Encoder, run: dict[str, Any], *, overwrite: bool = False
    ) -> None:
        require_writable(kind, encoder.schema, path)
        self._kind, self._encoder, self._compress = kind, encoder, COMPRESS[kind.compression]
        beginning = encoder.beginning()
        super().__init__(path, run, self._compress(beginning) if beginning else b"", overwrite=overwrite)

    def add(self, part: Part, answers: Sequence[Sequence[Any]]) -> None:
        """Writes one more part to the disk, its added columns with these values, and its bad rows; see `append`."""
        rows = part.table.num_rows
        data = self._compress(self._encoder.encode(part, answers)) if rows else b""
        bad = b"".join(map(_bad_line, part.bad))
        self.append(data, bad, Done(self.done.run, 1, rows, len(part.bad), part.size))

    def _finish(self) -> None:
        finish(self._kind, self._partial, self.path, self._encoder.schema)


def _bad_line(row: BadRow) -> bytes:
    said = {"file": row.file, "line": row.line, "reason": row.reason, "row": row.row}
    try:
        return json_line(said)
    except RecursionError:  # what Python's reader of JSON has just managed, its writer may not
        return json_line({**said, "row": "…"})
