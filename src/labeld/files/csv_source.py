"""csv and tsv files. Every value is a string, and a field that is empty without quotes is null.

A quote of a tsv file is one like that of csv only if the file's beginning says so: `blocks.has_quotes`.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from typing import Any

import numpy as np

from labeld.files.arrow import pa, pa_csv, pc
from labeld.files.blocks import MARK, Blocks, restored
from labeld.files.errors import FileError
from labeld.files.formats import Format
from labeld.files.sources import BadRow, Batch
from labeld.files.streams import LONGEST_ROW, known_size, reading
from labeld.files.texts import plain

DELIMITERS = {"csv": ",", "tsv": "\t"}


class CsvSource:
    """One csv or tsv file, read block by block. Its tables have binary columns, which may have other than UTF-8."""

    is_empty = False

    def __init__(self, path: str, stream: BufferedReader, kind: Format) -> None:
        self.path = path
        self._invalid: deque[Any] = deque()
        delimiter = DELIMITERS[kind.name]
        with reading(path):
            self._stream = Blocks(stream, delimiter, may_be_unquoted=kind.name == "tsv")
        parse = pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if self._stream.quotes else False,
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
        if any(MARK in name for name in names):
            raise FileError(f"{path} has names of columns that are not UTF-8: convert it, for example with iconv.")
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self._record, self._line = 2, 2 + "".join(names).count("\n")
        self._empty: list[BadRow] = []
        self.size = known_size(path, kind.compression)

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
        """Closes the file, once arrow reads no more of it.

        Its thread would be in Python when the process ends, or wait for this one, which waits for it.
        """
        self._stream.is_ended = True
        with suppress(pa.ArrowException, OSError):
            while next(self._reader, None) is not None:
                pass
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
        text = restored(row.text.encode()).decode(errors="backslashreplace") if MARK in row.text else row.text
        lines = text.count("\n") + 1
        quote = f": it is {lines} lines, joined by a quote that opens in the first" if lines > 1 else ""
        return BadRow(self.path, line, f"has {has} field{'s' * (has != 1)}, but the header has {header}{quote}", text)

    def _located(self, table: Any) -> Batch:
        """The rows of a block with the lines on which they begin, those with too many or too few fields among them."""
        rows = table.num_rows
        if self._stream.has_marks:
            table = pa.record_batch(list(map(_restored, table.columns)), names=table.schema.names)
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


def _restored(column: Any) -> Any:
    """A column with the bytes that its file has."""
    if not pc.any(pc.match_substring(column, MARK)).as_py():
        return column
    return pa.array([value and restored(value) for value in column.to_pylist()], pa.binary())
