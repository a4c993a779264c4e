"""The parts of a run -> the file of its format: as they are, or of arrow streams one parquet or arrow file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labeld.files.arrow import pa, pq
from labeld.files.errors import FileError
from labeld.files.formats import Format
from labeld.files.journal import replacing

GROUP_ROWS = 65536
"""Rows of a row group of parquet, or of a batch of arrow, at most."""
GROUP_BYTES = 64 << 20
"""Bytes of one, after which no part is added."""


def require_writable(kind: Format, schema: Any, path: Path) -> None:
    """Raises FileError where a column has a type that files of this kind cannot have."""
    if kind.name != "parquet":
        return
    for field in schema:
        try:
            pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
        except (pa.ArrowException, OSError):  # the second, of parquet itself, for a decimal of negative scale
            raise FileError(
                f"The column {field.name!r} has {field.type}, which parquet cannot have: name {path} with another "
                "extension, such as .arrow."
            ) from None


def finish(kind: Format, partial: Path, path: Path, schema: Any) -> None:
    """Makes the file of the parts; raises OSError. A file that is at `path` is replaced when the new one is whole."""
    if kind.name in {"csv", "tsv", "jsonl"}:
        partial.replace(path)
        return
    with replacing(path) as file:
        if kind.name == "parquet":
            with pq.ParquetWriter(file, schema, compression="zstd") as parquet:
                for table in _groups(partial):
                    parquet.write_table(table, row_group_size=GROUP_ROWS)
        else:
            with pa.ipc.new_file(file, schema) as arrow:
                for table in _groups(partial):
                    arrow.write_table(table)


def _groups(partial: Path) -> Iterator[Any]:
    """The parts, several of them as one table."""
    waiting: list[Any] = []
    with partial.open("rb") as file:
        size = partial.stat().st_size
        while file.tell() < size:
            with pa.ipc.open_stream(file) as stream:
                waiting += list(stream)
            if sum(one.num_rows for one in waiting) >= GROUP_ROWS or sum(one.nbytes for one in waiting) >= GROUP_BYTES:
                yield pa.Table.from_batches(waiting).combine_chunks()
                waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()
