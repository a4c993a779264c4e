"""Rows of real files of every format come in their order, and each that cannot be used with its line and the reason."""

import bz2
import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labeld import LabeldError
from tests.support.tools import package

pa = package("pyarrow")
import pyarrow.parquet as pq  # noqa: E402  # skipped where it is not installed

from labeld.files.encoding import encoder  # noqa: E402
from labeld.files.formats import FormatName  # noqa: E402
from labeld.files.reader import Rows, open_rows  # noqa: E402

ROWS = [
    {"id": str(number), "text": f'text {number}, "quoted"\nand more', "kind": "ab"[number % 2]} for number in range(9)
]
TABLE = pa.Table.from_pylist(ROWS)
TIME = pa.timestamp("ms")


def csv_bytes(delimiter: str = ",") -> bytes:
    """The rows as csv."""
    import csv

    out = io.StringIO()
    writer = csv.DictWriter(out, list(ROWS[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def arrow_bytes(writer: Callable[..., Any]) -> bytes:
    """The rows as one kind of arrow file."""
    sink = pa.BufferOutputStream()
    with writer(sink, TABLE.schema) as opened:
        opened.write_table(TABLE, max_chunksize=4)
    return bytes(sink.getvalue())


def parquet_bytes() -> bytes:
    """The rows as parquet in several row groups."""
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=4)
    return sink.getvalue()


def zstd(data: bytes) -> bytes:
    """One frame."""
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def jsonl_bytes() -> bytes:
    """The rows as JSON lines."""
    return b"\n".join(json.dumps(row).encode() for row in ROWS)


FILES: dict[str, Callable[[], bytes]] = {
    "a.csv": csv_bytes,
    "a.tsv": lambda: csv_bytes("\t"),
    "a.jsonl": jsonl_bytes,
    "a.ndjson": jsonl_bytes,
    "a.parquet": parquet_bytes,
    "a.arrow": lambda: arrow_bytes(pa.ipc.new_file),
    "a.feather": lambda: arrow_bytes(pa.ipc.new_file),
    "stream.arrow": lambda: arrow_bytes(pa.ipc.new_stream),
    "a.csv.gz": lambda: gzip.compress(csv_bytes()[:99]) + gzip.compress(csv_bytes()[99:]),
    "a.csv.bz2": lambda: bz2.compress(csv_bytes()[:99]) + bz2.compress(csv_bytes()[99:]),
    "a.jsonl.zst": lambda: zstd(jsonl_bytes()[:99]) + zstd(jsonl_bytes()[99:]),
    "stream.arrow.gz": lambda: gzip.compress(arrow_bytes(pa.ipc.new_stream)),
}


def read(rows: Rows) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """All rows, and the lines and reasons of the bad ones."""
    parts = list(rows)
    bad = [(row.line, row.reason) for part in parts for row in part.bad]
    return [row for part in parts for row in part.table.to_pylist()], bad


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    """Compressed or not, in one piece or in several."""
    path = tmp_path / name
    path.write_bytes(FILES[name]())

    assert read(open_rows([str(path)], ["text"], None)) == (ROWS, [])
    some = [{"text": row["text"], "kind": row["kind"]} for row in ROWS]
    found = read(open_rows([str(path)], ["text"], ["kind"]))
    assert found == (some, [])


def test_times_that_python_cannot_hold_are_text(tmp_path: Path) -> None:
    """Such as the year 294276, a database's infinity, also in lists and bad rows; others stay as they were."""
    path, far = str(tmp_path / "a.parquet"), 9_224_318_015_999_999
    columns = {"t": pa.array([0, far, far], pa.timestamp("ms")), "l": pa.array([[0], [far], []], pa.list_(TIME))}
    pq.write_table(pa.table({"text": ["a", "b", None], **columns}), path)
    rows = open_rows([path], ["text"], None)
    (part,) = rows
    added = [pa.field("y", pa.string())]
    csv = encoder("csv", rows.schema, added).encode(part, [["1", "2"]]).decode().splitlines()
    first, second = map(json.loads, encoder("jsonl", rows.schema, added).encode(part, [["1", "2"]]).splitlines())

    assert ("1970-01-01T00:00:00", ["1970-01-01T00:00:00"]) == (first["t"], first["l"])
    assert second["t"] == second["l"][0] == part.bad[0].row["t"]
    assert "294276-12-31T23:59:59.999" == second["t"]
    assert ['"a","1970-01-01T00:00:00"', f'"b","{second["t"]}"'] == [line.split(',"[')[0] for line in csv]


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_values_that_text_lacks_lose_nothing(tmp_path: Path, name: FormatName) -> None:
    """Nanoseconds of a day keep their digits, and bytes are base64 whether they are UTF-8 or not, in lists too."""
    path, times = str(tmp_path / "a.parquet"), pa.array([1, 3_600_000_000_000], pa.time64("ns"))
    columns = {
        "time": times,
        "times": pa.array([[1, None], None], pa.list_(times.type)),
        "raw": pa.array([b"abcd", b"\xff"], pa.binary()),
        "raws": pa.array([[b"ab"], None], pa.list_(pa.binary(2))),
    }
    pq.write_table(pa.table({"text": [b"a", b"b"], **columns}), path)
    rows = open_rows([path], ["text"], None)
    made = encoder(name, rows.schema, [pa.field("y", pa.string())])
    written = made.beginning() + b"".join(made.encode(part, [["1", "2"]]) for part in rows)
    (first, second) = (
        csv.DictReader(written.decode().splitlines()) if name == "csv" else map(json.loads, written.splitlines())
    )

    assert ("a", "00:00:00.000000001", "01:00:00.000000000") == (first["text"], first["time"], second["time"])
    assert ("YWJjZA==", "/w==") == (first["raw"], second["raw"])
    lists = [json.loads(first[one]) if name == "csv" else first[one] for one in ("times", "raws")]
    assert [["00:00:00.000000001", None], ["YWI="]] == lists


def test_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    """Those of a pattern by their names, and each row says its file and its line there."""
    for name in ("b-2.csv", "b-1.csv"):
        (tmp_path / name).write_text(f"text,y\n{name},1\n")
    (tmp_path / "a.jsonl").write_text('\n\n{"y": 7, "text": "first"}\n')
    parts = list(open_rows([str(tmp_path / "a.jsonl"), str(tmp_path / "b-*.csv")], ["text"], ["y"]))

    found = [(Path(part.file).name, part.column("text"), part.column("y"), part.lines.tolist()) for part in parts]
    assert found == [
        ("a.jsonl", ["first"], ["7"], [3]),
        ("b-1.csv", ["b-1.csv"], ["1"], [2]),
        ("b-2.csv", ["b-2.csv"], ["1"], [2]),
    ]


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_standard_input_is_read_once(path: str) -> None:
    """A pipe cannot be opened again, neither by its sign nor by a path."""
    code = """
import sys
from labeld.files.reader import open_rows
for part in open_rows([sys.argv[1]], ["text"], None, format="tsv"):
    print(part.table.to_pylist())
"""
    ran = subprocess.run([sys.executable, "-c", code, path], input=b"text\ty\na\tb\n", capture_output=True, check=True)

    assert ran.stdout.decode().strip() == "[{'text': 'a', 'y': 'b'}]"


def test_bad_rows_of_csv_have_their_lines(tmp_path: Path) -> None:
    """Whatever stands before them; empty lines at the end are no rows."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'\xef\xbb\xbfid,text\n1,a\n2\n\n3,"multi\nline"\n4,x,y\n5,\n6,""\n7,\xff\n\xff,ok\n8,"z"\n9\n\n\n'
    )
    good, bad = read(open_rows([str(path)], ["text"], None))

    assert [("1", "a"), ("3", "multi\nline"), ("6", ""), ("8", "z")] == [(row["id"], row["text"]) for row in good]
    assert bad == [
        (3, "has 1 field, but the header has 2"),
        (4, "is empty"),
        (7, "has 3 fields, but the header has 2"),
        (8, "has null in column 'text', but must have a string"),
        (10, "is not UTF-8 in column 'text'"),
        (11, "is not UTF-8 in column 'id'"),
        (13, "has 1 field, but the header has 2"),
    ]


def test_ragged_rows_that_are_not_utf8_are_bad_rows(tmp_path: Path) -> None:
    """They come together where a file has another encoding; a character between two blocks is whole."""
    path = tmp_path / "a.csv"
    ragged = "".join(f"{number},caf\xe9,x\n" for number in range(3)).encode("latin-1")
    path.write_bytes(b"id,text\n1,a\n" + ragged + b"2,\xff\n3," + "é".encode() * 1_500_000 + b"\n4,b,\xe9\n5,c\n")
    parts = list(open_rows([str(path)], ["text"], None))
    bad = [row for part in parts for row in part.bad]

    assert [1, 1_500_000, 1] == [len(text) for part in parts for text in part.column("text")]
    assert [(3, "0,caf\\xe9,x"), (8, "4,b,\\xe9")] == [(row.line, row.row) for row in (bad[0], bad[-1])]
    assert "has 3 fields, but the header has 2" == bad[0].reason
    assert (6, "is not UTF-8 in column 'text'") == (bad[3].line, bad[3].reason)
    assert {"id": "2", "text": "\\xff"} == bad[3].row


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (['"what a day" she said', "b"], ['"what a day" she said', "b"]),
        (['"never closed', 'and "here', 'ends"'], ['"never closed', 'and "here', 'ends"']),
        (['"never closed', "b", 'its end"'], ['"never closed', "b", 'its end"']),
        (['"whole"', 'a "b"'], ['"whole"', 'a "b"']),
        (['"he said ""no"""', "b"], ['he said "no"', "b"]),
        (['"two\nlines"', '"a\ttab"'], ["two\nlines", "a\ttab"]),
        (['""', "b"], ["", "b"]),
        (["a", '"' + "x" * 3_000_000 + '"', "b"], ["a", '"' + "x" * 3_000_000 + '"', "b"]),
        (['"a"', '"' + "x" * 3_000_000 + '"', "b"], ["a", "x" * 3_000_000, "b"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_quotes_of_tsv_are_text_unless_all_are_as_in_csv(tmp_path: Path, cells: list[str], expected: list[str]) -> None:
    """As most data sets have them, and as pandas and pyarrow write them; no quote swallows rows."""
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{cell}\t{number}\n" for number, cell in enumerate(cells)))
    good, bad = read(open_rows([str(path)], ["text"], ["label"]))

    assert [] == bad
    assert [(text, str(number)) for number, text in enumerate(expected)] == [
        (row["text"], row["label"]) for row in good
    ]


def test_an_open_quote_of_a_single_column_swallows_nothing(tmp_path: Path) -> None:
    """Where no tab could tell that it does."""
    path = tmp_path / "a.tsv"
    path.write_text('text\n"I was there\nand saw\nhim."\n')

    assert ['"I was there', "and saw", 'him."'] == [row["text"] for row in read(open_rows([str(path)], ["text"]))[0]]


def test_bad_rows_of_jsonl_have_their_lines(tmp_path: Path) -> None:
    """And the whole line or object, while members of other rows keep what they are."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"text": "a", "n": 1, "x": [1]}\n\n{"text": 2}\nnonsense\n[1]\n{"text": null}\n{"n": 1}\n{"text": "\xff"}\n'
        b'{"text": "\\ud800"}\n{"text": "b", "n": 3, "x": "s"}'
    )
    parts = list(open_rows([str(path)], ["text"], None))
    bad = [(row.line, row.reason, row.row) for part in parts for row in part.bad]

    assert [{"text": "a", "n": 1, "x": "[1]"}, {"text": "b", "n": 3, "x": "s"}] == parts[0].table.to_pylist()
    assert parts[0].json == (b'{"text": "a", "n": 1, "x": [1]}', b'{"text": "b", "n": 3, "x": "s"}')
    assert bad == [
        (3, "has 2 in column 'text', but must have a string", {"text": 2}),
        (4, "is not JSON", "nonsense"),
        (5, "is JSON, but not an object", "[1]"),
        (6, "has null in column 'text', but must have a string", {"text": None}),
        (7, "has null in column 'text', but must have a string", {"n": 1}),
        (8, "is not UTF-8", '{"text": "\\xff"}'),
        (9, "has half of a surrogate pair, which is no character, in column 'text'", {"text": "\ud800"}),
    ]


def test_integers_that_no_column_of_numbers_has_are_kept_as_text(tmp_path: Path) -> None:
    """Such as ids of 20 digits."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "a", "id": {2**64}}}\n{{"text": "b", "id": 1}}\n')

    assert ([str(2**64), "1"], []) == ([row["id"] for row in read(open_rows([str(path)], ["text"], None))[0]], [])


def test_members_of_jsonl_that_come_later_are_not_lost(tmp_path: Path) -> None:
    """As columns they would be; with their JSON kept they are not needed."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "n": 1}\n' * 5000 + '{"text": "b", "m": 1}\n{"text": "c", "n": "x"}\n')
    good, bad = read(open_rows([str(path)], ["text"], None))
    kept = [part.json for part in open_rows([str(path)], ["text"], None, keep_json=True) if part.json]

    assert (len(good), len(bad)) == (5000, 2)
    assert bad == [
        (5001, "has 'm', which no row at the beginning has"),
        (5002, "has \"x\" in column 'n', but the first rows have int64"),
    ]
    assert [b'{"text": "b", "m": 1}', b'{"text": "c", "n": "x"}'] == [line for lines in kept for line in lines][-2:]


def test_nulls_and_broken_bytes_of_parquet_are_bad_rows(tmp_path: Path) -> None:
    """By the number of the row, also in columns of bytes and of a dictionary."""
    path = str(tmp_path / "a.parquet")
    texts = pa.array([b"a", None, b"\xff", b"b"], pa.binary())
    pairs = pa.array(["x", "x", "y", "y"]).dictionary_encode()
    pq.write_table(pa.table({"text": texts, "pair": pairs}), path)
    good, bad = read(open_rows([path], ["text", "pair"]))

    assert [{"text": "a", "pair": "x"}, {"text": "b", "pair": "y"}] == good
    assert [(2, "has null in column 'text', but must have a string"), (3, "is not UTF-8 in column 'text'")] == bad


def test_long_cells_are_read_and_a_quote_left_open_is_told(tmp_path: Path) -> None:
    """A cell of 5 MB is one, and what an open quote has swallowed is not taken for one."""
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"' + "x y\n" * 1_250_000 + '"\n2,b\n3,"open\n4,c\n')
    good, bad = read(open_rows([str(path)], ["text"]))

    assert [5_000_000, 1] == [len(row["text"]) for row in good]
    assert [(1_250_004, "has a quote that is not closed")] == bad


NO_TEXT = "has no column 'text': it has"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"id,body\n1,a\n", "has no column 'text': it has id, body."),
        ("a.csv", b"", "is empty, without even the names of columns."),
        ("a.csv", b"t\xff,text\na,b\n", "has names of columns that are not UTF-8: convert it, for example with iconv."),
        ("a.csv", b"text,text\na,b\n", "has the column 'text' twice: give each column a name of its own."),
        ("a.csv.gz", gzip.compress(b"text\na\n", mtime=0)[:-9], "is damaged or not whole, and cannot be read."),
        ("a.csv.gz", b"text\na\n", "is not compressed with gzip, though its name says so: give it another name."),
        ("a.csv.bz2", gzip.compress(b"text\na\n"), "is not compressed with bz2, though its name says so"),
        ("a.csv", gzip.compress(b"text\na\n"), "is compressed with gzip, which its name does not say: rename or"),
        ("a.jsonl", bz2.compress(b"{}\n"), "is compressed with bz2, which its name does not say: rename or"),
        ("a.csv", parquet_bytes(), "is parquet, not csv: pass --format parquet, or rename it."),
        ("a.jsonl", arrow_bytes(pa.ipc.new_file), "is arrow, not jsonl: pass --format arrow, or rename it."),
        ("a.tsv", b"PK\x03\x04" + bytes(40), "is a spreadsheet or an archive, not tsv: export its rows as tsv."),
        ("a.csv", "text\na\n".encode("utf-16"), "is UTF-16, but must be UTF-8: convert it, for example with iconv"),
        ("a.jsonl", '{"text": "a"}\n'.encode("utf-16-be"), "is UTF-16, but must be UTF-8: convert it"),
        ("a.parquet", b"text\na\n", "is no parquet file: pass its format as --format, or name another one."),
        ("a.csv", b"id,title", "has no column 'text': it has id, title."),
        (
            "a.csv",
            b"id;text\n1;a\n",
            f"{NO_TEXT} id;text, which looks like columns separated by a semi",
        ),
        (
            "a.csv",
            b"sep=;\nid;text\n1;a\n",
            f"{NO_TEXT} sep=;, which looks like columns separated by a semi",
        ),
        (
            "a.csv",
            b"id\ttext\n1\ta\n",
            f"{NO_TEXT} id\\ttext, which looks like columns separated by a tab: pass",
        ),
        (
            "a.tsv",
            b"id,text\n1,a\n",
            f"{NO_TEXT} id,text, which looks like columns separated by a comma: pass",
        ),
        ("a.parquet", parquet_bytes()[:-9], "is damaged or not whole, and cannot be read."),
        ("a.arrow", arrow_bytes(pa.ipc.new_stream)[:99], "is damaged or not whole, and cannot be read."),
        ("a.jsonl", b'[{"text": "a"}]', "is a JSON list, not an object a line: convert it, for example with jq -c"),
        ("a.jsonl", b'{"id": 1}\n', "has no column 'text': it has id."),
        ("a.jsonl", b'{\n  "text": "a"\n}\n', "has no JSON object in a line: convert JSON over several lines with jq"),
        ("a.foo", b"text\na\n", "does not say its format: pass it as --format, or name the file with .csv,"),
        ("a.parquet.gz", b"", "is parquet in gzip, which cannot be read in parts: decompress it first."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    """One sentence says what is wrong with which file."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LabeldError) as caught:
        read(open_rows([str(path)], ["text"]))

    assert f"{path} {sentence}" in str(caught.value)


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    """Where columns have types this is said at once."""
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(LabeldError, match=r"The column 'text' of .*a\.parquet has int64, but must have strings\."):
        open_rows([str(tmp_path / "a.parquet")], ["text"])


def test_files_must_have_the_same_columns(tmp_path: Path) -> None:
    """Where all columns are asked for."""
    (tmp_path / "a.csv").write_text("text,n\na,1\n")
    (tmp_path / "b.csv").write_text("text,m\na,1\n")
    with pytest.raises(LabeldError, match="do not have the same columns, for example 'm': read them apart"):
        open_rows([str(tmp_path / "[ab].csv")], ["text"], None)


def test_files_of_other_types_have_one_that_loses_nothing(tmp_path: Path) -> None:
    """Parts of which one has only nulls, a dictionary or narrower numbers; strings keep their zeros."""
    tables = {
        "a": {"text": ["a"], "n": pa.nulls(1), "x": pa.array([1], pa.int32()), "d": ["k"], "s": [7]},
        "b": {"text": ["b"], "n": [2.5], "x": [2**40], "d": pa.array(["k"]).dictionary_encode(), "s": ["007"]},
        "c": {"text": ["c"], "n": [3], "x": pa.nulls(1), "d": pa.nulls(1), "s": ["x"]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    rows = open_rows([str(tmp_path / "*.parquet")], ["text"], None)

    assert [pa.string(), pa.float64(), pa.int64(), pa.string(), pa.string()] == rows.schema.types
    assert [(None, 1, "k", "7"), (2.5, 2**40, "k", "007"), (3.0, None, None, "x")] == [
        (row["n"], row["x"], row["d"], row["s"]) for row in read(rows)[0]
    ]


def test_other_types_are_said_before_the_first_row(tmp_path: Path) -> None:
    """Not after hours."""
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["a"], "n": [[1]]}), tmp_path / "b.parquet")
    with pytest.raises(LabeldError, match=r"'n' of .*b\.parquet has list.*, but the files before it have int64: read"):
        open_rows([str(tmp_path / "*.parquet")], ["text"], None)


def test_a_file_that_is_found_twice_is_read_once(tmp_path: Path) -> None:
    """Whatever it is called, and what is written is not found."""
    for name in ("a.csv", "b.csv", "out.csv.bad.jsonl"):
        (tmp_path / name).write_text(f"text\n{name}\n")
    (tmp_path / "link.csv").symlink_to("a.csv")
    inputs = [str(tmp_path / "*"), *(str(tmp_path / name) for name in ("a.csv", "../" + tmp_path.name + "/b.csv"))]
    rows = open_rows(inputs, ["text"], written=[tmp_path / "out.csv.bad.jsonl"])

    assert ["a.csv", "b.csv"] == [row["text"] for row in read(rows)[0]]


def test_one_batch_that_is_the_whole_file_is_read_in_parts(tmp_path: Path) -> None:
    """As Polars writes it: its memory is the file's, and no copy."""
    path = str(tmp_path / "a.arrow")
    table = pa.table({"text": ["x" * 1000] * 50_000})
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as opened:
        opened.write_table(table)
    before = pa.total_allocated_bytes()
    parts = iter(open_rows([path], ["text"]))
    first = next(parts)

    assert 1024 == first.table.num_rows
    assert pa.total_allocated_bytes() - before < 10_000_000


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_what_is_read_from_its_end_is_no_pipe(tmp_path: Path, kind: str) -> None:
    """One sentence says so, and nobody waits for a writer that has gone."""
    path = str(tmp_path / f"a.{kind}")
    os.mkfifo(path)
    data = parquet_bytes() if kind == "parquet" else arrow_bytes(pa.ipc.new_file)
    writer = subprocess.Popen(
        [sys.executable, "-c", f"open({path!r}, 'wb').write({data!r})"], stderr=subprocess.DEVNULL
    )
    try:
        with pytest.raises(LabeldError, match="is read from its end"):
            open_rows([path], ["text"])
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("name", ["a.csv", "-"])
def test_standard_input_may_be_closed(tmp_path: Path, name: str) -> None:
    """As daemons have it: a file is read all the same, and standard input is one sentence."""
    (tmp_path / "a.csv").write_text("text\na\n")
    code = f"""
from labeld import LabeldError
from labeld.files.reader import open_rows
try:
    print([part.column("text") for part in open_rows([{name!r}], ["text"], format="csv")])
except LabeldError as error:
    print(error)
"""
    command = f"{sys.executable} -c '{code.replace(chr(39), chr(34))}' <&-"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, check=True, cwd=tmp_path, text=True)

    assert ran.stdout == ("[['a']]\n" if name == "a.csv" else "Standard input (-) is closed: name a file.\n")


def test_a_terminal_is_no_input() -> None:
    """Nobody is left to wonder what it waits for."""
    code = 'from labeld.files.reader import open_rows; open_rows(["-"], ["text"], format="csv")'
    ours, theirs = os.openpty()
    ran = subprocess.run([sys.executable, "-c", code], stdin=theirs, capture_output=True, check=False, text=True)
    for one in (ours, theirs):
        os.close(one)

    assert "Standard input (-) is a terminal: send rows through a pipe, or name a file." in ran.stderr


def test_paths_that_name_no_file(tmp_path: Path) -> None:
    """Neither a folder, nor what is not there, nor standard input twice."""
    with pytest.raises(LabeldError, match=r"There is no file nothing-\*\.csv\."):
        open_rows(["nothing-*.csv"], ["text"])
    with pytest.raises(LabeldError, match="is a folder: name its files, for example"):
        open_rows([str(tmp_path)], ["text"])
    with pytest.raises(LabeldError, match="is named twice, but can be read only once"):
        open_rows(["-", "-"], ["text"], format="csv")


def test_without_pyarrow_one_sentence_says_what_to_install() -> None:
    """In the process that has not got it."""
    code = "import sys; sys.modules['pyarrow'] = None\nimport labeld.files.reader"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 'which is missing: pip install "labeld[files]".' in ran.stderr.strip().splitlines()[-1]
