"""Rows of files in their order, in parts of bounded size: texts that can be classified, and what is wrong with others.

for part in open_rows(["part-*.csv", "more.parquet"], ["text"], ["label"]):
    part.column("text"), part.column("label"), part.lines, part.bad
"""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from labeld.files.ahead import ahead
from labeld.files.arrow import pa
from labeld.files.beginning import other_separator, require_text
from labeld.files.columnar_source import ArrowSource, ParquetSource
from labeld.files.csv_source import CsvSource
from labeld.files.errors import FileError
from labeld.files.formats import Format, find_files, format_of
from labeld.files.jsonl_source import JsonlSource
from labeld.files.sources import BadRow, Batch, Lines, Source, Wanted
from labeld.files.streams import open_stream, reading
from labeld.files.texts import as_strings, common_type, is_string, is_text, plain, values
from labeld.system.printable import printable

PART_ROWS = 1024
"""Rows of a part, at most."""
PART_BYTES = 16 << 20
"""Bytes of a part's columns, roughly, at most, if it has more than one row."""
AHEAD = 2
"""Parts that are read before they are taken."""
SHOWN_COLUMNS = 200
"""Characters of the names of columns that a sentence shows, at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of one file that follow each other. The same files always give the same parts."""

    file: str
    """Its path, as it was given or found."""
    table: Any
    """pyarrow.RecordBatch of the rows that can be used, with the schema of `Rows`."""
    lines: Lines
    """int64 [rows of the table]: the line of a csv or jsonl file on which each begins, else its number; from 1."""
    bad: tuple[BadRow, ...]
    """The other rows, in their order."""
    size: int
    """Bytes of the input that all these rows take up, roughly."""
    json: tuple[bytes, ...] | None
    """The text of each row of the table, if the file is jsonl."""

    def column(self, name: str) -> list[Any]:
        """The Python objects of a column, one for each row of the table."""
        return values(self.table.column(name))

    def without(self, reasons: Mapping[int, str], table: Any = None) -> "Part":
        """The part whose rows at these positions are bad, for these reasons; `table` has them as they were read."""
        if not reasons:
            return self
        rows = self.table if table is None else table
        bad = [
            BadRow(self.file, int(self.lines[one]), reasons[one], plain(rows, self.json, one))
            for one in sorted(reasons)
        ]
        good = np.ones(len(self.lines), bool)
        good[list(reasons)] = False
        json = None if self.json is None else tuple(compress(self.json, good.tolist()))
        every = tuple(sorted([*self.bad, *bad], key=lambda row: row.line))
        return Part(self.file, self.table.filter(pa.array(good)), self.lines[good], every, self.size, json)


class Rows:
    """The rows of several files, one after the other; to be iterated over once."""

    def __init__(self, files: Sequence[str], kinds: Sequence[Format], wanted: Wanted) -> None:
        self._kinds, self._wanted = kinds, wanted
        self._opened: dict[str, Source] = {}
        self._read: list[Source] = []
        self._stopping = Event()
        """When it is set, a pipe that is waited for ends."""
        self.files = tuple(files)
        """The files that are read, in their order."""
        self.schema = pa.schema([(name, pa.string()) for name in wanted.texts])
        """pyarrow.Schema of every part's table: the columns that are asked for, each of a type that all files have."""
        self.size: int | None = 0
        """Bytes of all parts together, roughly; None where that is not known."""
        self._first: Source | None = None
        for file, kind in zip(files, kinds, strict=True):
            source = self._open(file, kind)
            with ExitStack() as stack:
                stack.callback(source.close)
                stack.push(self._stop_after)
                self._check(source)
                if not Path(file).is_file():
                    self._opened[file] = source  # NOTE: a pipe can be read only once
                    stack.pop_all()
            self.size = None if self.size is None or source.size is None else self.size + source.size

    def __iter__(self) -> Generator[Part, None, None]:  # noqa: PYI058  # closed by who stops early
        """The parts in their order, read ahead of who takes them; raises FileError where a file cannot be read further.

        NOTE: on a thread, since pyarrow waits for a silent pipe where Ctrl-C is not noticed.
        """
        return ahead(self._parts(), AHEAD, self._stopping)

    def _parts(self) -> Generator[Part, None, None]:
        for file, kind in zip(self.files, self._kinds, strict=True):
            opened = self._opened.pop(file) if file in self._opened else self._open(file, kind)
            with closing(opened) as source:
                self._read = [source]
                try:
                    for batch in source.batches():
                        for piece in _cut(batch):
                            yield self._part(file, piece)
                except BaseException:  # nobody takes the rest
                    self._stopping.set()
                    raise

    def close(self) -> None:
        """Ends what still waits for a pipe, of rows that nobody iterates over to their end."""
        self._stopping.set()
        for source in (*self._opened.values(), *self._read):
            source.close()

    def _open(self, file: str, kind: Format) -> Source:
        if kind.name == "parquet":
            return ParquetSource(file, self._wanted)
        stream = open_stream(file, kind.compression, self._stopping)
        try:
            if kind.name == "arrow":
                return ArrowSource(file, stream, kind, self._wanted)
            with reading(file):
                require_text(file, stream, kind)
            if kind.name == "jsonl":
                return JsonlSource(file, stream, kind, self._wanted)
            return CsvSource(file, stream, kind)
        except BaseException:
            self._stopping.set()
            stream.close()
            raise

    def _stop_after(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends what waits for a pipe after a failure, Ctrl-C included, before it is closed."""
        if kind is not None:
            self._stopping.set()

    def _check(self, source: Source) -> None:
        """Brings the columns of a file into the schema; raises FileError for one that has not the right ones."""
        if source.is_empty:
            return
        self._require_columns(source)
        fields = {field.name: field for field in source.schema if field.name in self._wanted}
        if self._first is None:
            self._first = source
            typed = [pa.field(one.name, pa.string()) if self._is_string(one) else one for one in fields.values()]
            self.schema = pa.schema(typed, source.schema.metadata)
        elif other := sorted(fields.keys() ^ {*self.schema.names}):
            raise FileError(
                f"{source.path} and {self._first.path} do not have the same columns, for example {other[0]!r}: read "
                "them apart."
            )
        for place, known in enumerate(self.schema):
            kind = pa.string() if self._is_string(known) else common_type(known.type, fields[known.name].type)
            if kind is None:
                raise _other_type(source.path, known, fields[known.name].type)
            if kind != known.type:
                self.schema = self.schema.set(place, known.with_type(kind))

    def _require_columns(self, source: Source) -> None:
        names = source.schema.names
        shown = printable(", ".join(names))[:SHOWN_COLUMNS] or "none at all"
        for name in [*self._wanted.texts, *(self._wanted.others or ())]:
            if name not in names:
                raise FileError(f"{source.path} has no column {name!r}: it has {shown}{other_separator(names)}.")
        if twice := sorted({name for name in names if name in self._wanted and names.count(name) > 1}):
            raise FileError(f"{source.path} has the column {twice[0]!r} twice: give each column a name of its own.")
        if taken := next((name for name in self._wanted.added if name in names), None):
            raise FileError(
                f"{source.path} already has a column {taken!r}: give the one that is added another name with "
                "--label-column, --score-column or --scores-column."
            )
        for name in self._wanted.texts:
            if not is_text(kind := source.schema.field(name).type):
                raise FileError(f"The column {name!r} of {source.path} has {kind}, but must have strings.")

    def _is_string(self, field: Any) -> bool:
        return field.name in self._wanted.texts

    def _part(self, file: str, batch: Batch) -> Part:
        """The rows of a batch, without those whose texts are none."""
        reasons: dict[int, str] = {}
        arrays = []
        for field in self.schema:
            array = batch.table.column(field.name)
            if is_text(array.type) and (is_string(field.type) or array.type != field.type):
                array, broken = as_strings(array)
                reasons |= dict.fromkeys(broken, f"is not UTF-8 in column {field.name!r}")
            if array.type != field.type:
                array = self._cast(file, array, field)
            if field.name in self._wanted.texts and array.null_count:
                null = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist()
                reasons = dict.fromkeys(null, f"has null in column {field.name!r}, but must have a string") | reasons
            arrays.append(array)
        whole = Part(file, pa.record_batch(arrays, schema=self.schema), batch.lines, batch.bad, batch.size, batch.json)
        return whole.without(reasons, batch.table)

    def _cast(self, file: str, array: Any, field: Any) -> Any:
        try:
            return array.cast(field.type)
        except pa.ArrowException:
            raise _other_type(file, field, array.type) from None


def open_rows(  # noqa: PLR0913  # options, by their names
    inputs: Sequence[str],
    texts: Sequence[str],
    others: Collection[str] | None = (),
    *,
    format: str | None = None,  # noqa: A002  # as the option is called
    keep_json: bool = False,
    added: Sequence[str] = (),
    written: Collection[Path] = (),
) -> Rows:
    """The rows of files: paths, patterns such as `part-*.csv`, and `-` for standard input, whose format must be given.

    `texts` are the columns that must have strings: a row where one has not is among the bad ones. `others` are further
    columns to be read, None for all there are, with the types they have; csv and tsv files have only strings. `format`
    is csv, tsv, jsonl, ndjson, parquet, arrow or feather; without it the names of the files say so. With `keep_json`
    and jsonl files alone the others are no columns: `Part.json` has them, as they were written.
    `added` are columns that the caller will add, and that the files must not have; `written` are files of its own,
    which patterns do not find.
    Opens each file, reads its first rows, and raises FileError if it cannot be read or has not these columns, or where
    both texts of a pair are one column.
    """
    if len(set(texts)) < len(texts):
        raise FileError(f"--column and --pair-column are both {texts[0]!r}, but must be two columns.")
    files = find_files(inputs, written)
    kinds = [format_of(file, format) for file in files]
    keeps = keep_json and all(kind.name == "jsonl" for kind in kinds)
    return Rows(files, kinds, Wanted(tuple(texts), () if keeps else others, tuple(added)))


def _other_type(file: str, field: Any, kind: Any) -> FileError:
    return FileError(
        f"The column {field.name!r} of {file} has {kind}, but the files before it have {field.type}: read them apart, "
        "or convert one of them."
    )


def _cut(batch: Batch) -> Iterator[Batch]:
    """The rows in pieces, each with the bad rows before its next one."""
    rows = batch.table.num_rows
    each = max(1, batch.table.nbytes // max(1, rows))
    step = max(1, min(PART_ROWS, PART_BYTES // each))
    bad = list(batch.bad)
    for start in range(0, max(1, rows), step):
        end = min(rows, start + step)
        later = [row for row in bad if end < rows and row.line > batch.lines[end]]
        here, bad = tuple(bad[: len(bad) - len(later)]), later
        yield Batch(
            batch.table.slice(start, step),
            batch.lines[start:end],
            here,
            batch.size * (end - start) // max(1, rows) if rows else batch.size,
            None if batch.json is None else batch.json[start:end],
        )
