"""csv and tsv files. Every value is a string, and a field that is empty without quotes is null."""

from collections import deque
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from labeld.files.arrow import pa, pa_csv, pc
from labeld.files.formats import STANDARD_INPUT, Format
from labeld.files.sources import BadRow, Batch
from labeld.files.streams import LONGEST_ROW, reading
from labeld.files.texts import plain

DELIMITERS = {"csv": ",", "tsv": "\t"}
BLOCK = 1 << 20
"""Bytes of a block, but for longer rows."""


class CsvSource:
    """One csv or tsv file, read block by block. Its tables have binary columns, which may have other than UTF-8."""

    is_empty = False

    def __init__(self, path: str, stream: BufferedReader, kind: Format) -> None:
        self.path = path
        self._invalid: deque[Any] = deque()
        self._stream = _Blocks(stream)
        parse = pa_csv.ParseOptions(
            delimiter=DELIMITERS[kind.name],
            newlines_in_values=True,
            ignore_empty_lines=False,  # NOTE: they count as lines
            invalid_row_handler=self._take_invalid,
        )
        convert = pa_csv.ConvertOptions(
            default_column_type=pa.binary(),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        )
        # NOTE: without threads, or the handler is not told the numbers of rows
        read = pa_csv.ReadOptions(block_size=LONGEST_ROW, use_threads=False)
        with reading(path):
            self._reader = pa_csv.open_csv(self._stream, read, parse, convert)
            names = self._reader.schema.names
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self._record, self._line = 2, 2 + "".join(names).count("\n")
        self._empty: list[BadRow] = []
        is_plain = path != STANDARD_INPUT and kind.compression is None
        self.size = Path(path).stat().st_size if is_plain else None

    def batches(self) -> Iterator[Batch]:
        """Its rows. An empty line at the end is no row; one before others is a bad one."""
        before: Batch | None = None
        while True:
            with reading(self.path, self._line - 1):
                table = next(self._reader, None)
            if table is None:
                break
            if before:
                yield before
            before = self._located(table)
        if before:
            yield self._closed(before)
        if rest := [self._fields(row, self._next_line(row.text)) for row in self._invalid]:
            nothing = pa.RecordBatch.from_pylist([], self.schema)
            yield Batch(nothing, np.empty(0, np.int64), (*self._empty, *rest), 0)

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _take_invalid(self, row: Any) -> str:
        self._invalid.append(row)
        return "skip"

    def _next_line(self, text: str) -> int:
        line = self._line
        self._line += 1 + text.count("\n")
        return line

    def _fields(self, row: Any, line: int) -> BadRow:
        has, header = row.actual_columns, row.expected_columns
        return BadRow(self.path, line, f"has {has} field{'s' * (has != 1)}, but the header has {header}", row.text)

    def _located(self, table: Any) -> Batch:
        """The rows of a block with the lines on which they begin, those with too many or too few fields among them."""
        rows = table.num_rows
        invalid: list[Any] = []
        while self._invalid and self._invalid[0].number < self._record + rows + len(invalid):
            invalid.append(self._invalid.popleft())
        is_valid = np.ones(rows + len(invalid), bool)
        is_valid[[row.number - self._record for row in invalid]] = False
        heights = np.ones(len(is_valid), np.int64)
        heights[~is_valid] += np.array([row.text.count("\n") for row in invalid], np.int64)
        size = 0
        for column in table.columns:
            newlines = pc.count_substring(column, "\n")
            heights[is_valid] += pc.fill_null(newlines, 0).to_numpy(zero_copy_only=False)
            size += (pc.sum(pc.binary_length(column)).as_py() or 0) + rows
        lines = self._line + np.cumsum(heights) - heights
        self._line += int(heights.sum())
        self._record += len(is_valid)
        bad = [self._fields(row, int(line)) for row, line in zip(invalid, lines[~is_valid], strict=True)]
        return self._without_empty(Batch(table, lines[is_valid], tuple(bad), size))

    def _without_empty(self, batch: Batch) -> Batch:
        """Rows without any value are bad if another row follows."""
        table, lines = batch.table, batch.lines
        is_empty = np.ones(table.num_rows, bool)
        for column in table.columns:
            is_empty &= column.is_null().to_numpy(zero_copy_only=False) if column.null_count else False
        empty = [*self._empty, *(BadRow(self.path, int(line), "is empty", "") for line in lines[is_empty])]
        last = max([*lines[~is_empty][-1:].tolist(), *(row.line for row in batch.bad[-1:])], default=0)
        self._empty = [row for row in empty if row.line > last]
        bad = sorted([*batch.bad, *(row for row in empty if row.line < last)], key=lambda row: row.line)
        if is_empty.any():
            table, lines = table.filter(pa.array(~is_empty)), lines[~is_empty]
        return Batch(table, lines, tuple(bad), batch.size)

    def _closed(self, batch: Batch) -> Batch:
        """The last batch, without a last row that has swallowed others because its quote is not closed."""
        last = batch.table.num_rows - 1
        if last < 0 or b"\n" not in (batch.table.columns[-1][last].as_py() or b"") or self._stream.last_byte == b'"':
            return batch
        row = BadRow(
            self.path, int(batch.lines[last]), "has a quote that is not closed", plain(batch.table, None, last)
        )
        return Batch(batch.table.slice(0, last), batch.lines[:last], (*batch.bad, row), batch.size)


class _Blocks(BufferedReader):
    """A stream in blocks that each have the end of a row, and that knows the last byte other than of a line's end.

    NOTE: Arrow reads 32 blocks ahead, which are half a gigabyte if each is as long as the longest row may be.
    """

    last_byte = b""
    _is_quoted = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes, and no more than `size`, which is the longest row; equal files have equal blocks."""
        block = piece = super().read(BLOCK)
        while piece and not self._ends_a_row(piece) and len(block) + BLOCK <= (size or 0):
            piece = super().read(BLOCK)
            block += piece
        self.last_byte = block[-4:].rstrip(b"\r\n")[-1:] or self.last_byte
        return block

    def _ends_a_row(self, piece: bytes) -> bool:
        """Whether the piece, which follows the one before, has a newline that is not in quotes."""
        between = piece.split(b'"')
        found = any(b"\n" in unquoted or b"\r" in unquoted for unquoted in between[self._is_quoted :: 2])
        self._is_quoted ^= len(between) % 2 == 0
        return found
