"""Parquet files and the two kinds of arrow files, whose columns have types."""

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from labeld.files.arrow import pa, pq
from labeld.files.beginning import require_parquet
from labeld.files.errors import FileError
from labeld.files.formats import Format
from labeld.files.sources import Batch, Wanted
from labeld.files.streams import is_read_once, known_size, reading

ROWS = 4096
"""Rows that are read from a parquet file at a time, at most."""
BYTES = 16 << 20
"""Bytes that such rows take up, roughly, at most."""
MAGIC = b"ARROW1"
"""What an arrow file begins with, other than a stream."""


class ParquetSource:
    """One parquet file, read a few thousand rows at a time."""

    is_empty = False

    def __init__(self, path: str, wanted: Wanted) -> None:
        if is_read_once(path):
            raise FileError("Parquet cannot be read from a pipe, since it is read from its end: name a file.")
        self.path = path
        with reading(path):
            require_parquet(path)
            self._file = pq.ParquetFile(path, buffer_size=1 << 20)
            self.schema = self._file.schema_arrow
        self._columns = [name for name in self.schema.names if name in wanted]
        self.size: int | None = Path(path).stat().st_size

    def batches(self) -> Iterator[Batch]:
        """Its rows."""
        done, rows = 0, max(1, self._file.metadata.num_rows)
        for table in self._tables():
            yield _numbered(table, done, int((self.size or 0) * table.num_rows / rows))
            done += table.num_rows

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _tables(self) -> Iterator[Any]:
        done = 0
        for index in range(self._file.num_row_groups):
            group = self._file.metadata.row_group(index)
            each = max(1, group.total_byte_size // max(1, group.num_rows))
            size = max(1, min(ROWS, BYTES // each))
            with reading(self.path, done):
                tables = self._file.iter_batches(size, [index], self._columns, use_threads=False)
            while True:
                with reading(self.path, done):
                    table = next(tables, None)
                if table is None:
                    break
                done += table.num_rows
                yield table.select(self._columns)


class ArrowSource:
    """One arrow file, of either kind, or a stream on standard input."""

    is_empty = False

    def __init__(self, path: str, stream: BufferedReader, kind: Format, wanted: Wanted) -> None:
        self.path = path
        self._stream = stream
        with reading(path):
            self._is_file = self._stream.peek(len(MAGIC))[: len(MAGIC)] == MAGIC
            if self._is_file and (kind.compression or is_read_once(path)):
                raise FileError(
                    f"{path} is an arrow file, which is read from its end: decompress it, or send an arrow stream."
                )
            # NOTE: mapped, since one batch may be the whole file, as Polars writes it
            self._reader = pa.ipc.open_file(pa.memory_map(path)) if self._is_file else pa.ipc.open_stream(self._stream)
            self.schema = self._reader.schema
        self._columns = [name for name in self.schema.names if name in wanted]
        self.size = known_size(path, kind.compression)

    def batches(self) -> Iterator[Batch]:
        """Its rows."""
        done = 0
        tables = self._of_file() if self._is_file else iter(self._reader)
        while True:
            with reading(self.path, done):
                table = next(tables, None)
            if table is None:
                break
            yield _numbered(table.select(self._columns), done, table.nbytes)
            done += table.num_rows

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _of_file(self) -> Iterator[Any]:
        for index in range(self._reader.num_record_batches):
            yield self._reader.get_batch(index)


def _numbered(table: Any, before: int, size: int) -> Batch:
    return Batch(table, np.arange(before + 1, before + 1 + table.num_rows, dtype=np.int64), (), size)
