"""`labeld classify --input`: transformers' answers, nothing lost or repeated, one sentence about what is wrong."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import interrupted, labeld
from tests.support.labeld_forks import start
from tests.support.rankings import same
from tests.support.tiny_models import TEXTS
from tests.support.tools import package

pa = package("pyarrow")
import pyarrow.csv as pa_csv  # noqa: E402  # skipped where it is not installed
import pyarrow.parquet as pq  # noqa: E402

LONG = "film " * 600
READ: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "out.csv": lambda path: pa_csv.read_csv(path).to_pylist(),
    "out.csv.gz": lambda path: pa_csv.read_csv(path).to_pylist(),
    "out.tsv": lambda path: pa_csv.read_csv(
        path, parse_options=pa_csv.ParseOptions(delimiter="\t", newlines_in_values=True)
    ).to_pylist(),
    "out.jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    "out.parquet": lambda path: pq.read_table(path).to_pylist(),
    "out.arrow": lambda path: pa.ipc.open_file(path).read_all().to_pylist(),
}


@pytest.fixture
def flags(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The flags of a small model, in a folder with a few files of texts."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": number, "text": text, "tags": ["x", {"y": number}]} for number, text in enumerate(TEXTS)]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist([{"id": row["id"], "text": row["text"]} for row in rows]), "in.parquet")
    return ("classify", "org/bert", "--models-dir", str(models_dir), "--threads", "1")


@pytest.mark.parametrize("output", READ)
@pytest.mark.parametrize("given", ["in.jsonl", "in.parquet"])
def test_rows_keep_their_columns_and_get_the_answers_of_transformers(
    flags: tuple[str, ...], expected: Callable[..., Any], given: str, output: str
) -> None:
    """From each kind of file into each, in the order of the rows, with all scores where they are asked for."""
    ended = labeld(*flags, "--input", given, "--output", output, "--all-scores", "--top-k", "2")
    rows = READ[output](Path(output))
    reference = expected("org/bert", TEXTS, top_k=2)

    assert (0, f"{len(TEXTS)} rows are classified in {output}.\n") == (ended.returncode, ended.stderr)
    assert [(number, text or (None if "sv" in output and not text else text)) for number, text in enumerate(TEXTS)] == [
        (row["id"], row["text"] or (None if "sv" in output else row["text"])) for row in rows
    ]
    scores = [row["scores"] if isinstance(row["scores"], list) else json.loads(row["scores"]) for row in rows]
    same(scores, reference)
    assert [(row["label"], row["score"]) for row in rows] == [(one[0]["label"], one[0]["score"]) for one in scores]
    if given == "in.jsonl":
        tags = [row["tags"] if output == "out.jsonl" else json.loads(row["tags"]) for row in rows]
        assert tags == [["x", {"y": number}] for number in range(len(TEXTS))]
    assert not list(Path().glob("out.*.*json*"))
    assert Path(f".{output}.done.json").exists()


def test_pairs_standard_input_and_names_of_columns(models_dir: Path, tmp_path: Path, expected: Any) -> None:
    """As a process of its own has them."""
    rows = "q\ta\tlabel\n" + "".join(f"{text}\tthe day\t1\n" for text in ("good film", "bad"))
    names = ("--column", "q", "--pair-column", "a", "--label-column", "l", "--score-column", "s", "--function", "none")
    command = (sys.executable, "-m", "labeld", "classify", "--model", "org/bert", "--models-dir", str(models_dir))
    subprocess.run(
        [*command, "--input", "-", "--format", "tsv", "--output", "out.jsonl", *names],
        input=rows.encode(),
        check=True,
        cwd=tmp_path,
    )
    found = READ["out.jsonl"](tmp_path / "out.jsonl")
    pairs = [{"text": text, "text_pair": "the day"} for text in ("good film", "bad")]

    assert ["q", "a", "label", "l", "s"] == list(found[0])
    same(
        [[{"label": row["l"], "score": row["s"]}] for row in found],
        expected("org/bert", pairs, top_k=1, function_to_apply="none"),
    )


def test_bad_rows_are_in_the_side_file_and_the_others_are_answered(flags: tuple[str, ...]) -> None:
    """Each with its file, its line, the reason and what it has, and the exit code says that there are some."""
    Path("in.csv").write_bytes(f"id,text\n1,good\n2\n3,{LONG}\n4,\n5,\xff\n6,bad\n".encode("latin-1"))
    ended = labeld(*flags, "--input", "in.csv", "in.jsonl", "--output", "out.jsonl")
    assert (1, "labeld: in.jsonl and in.csv do not have the same columns, for example 'tags': read them apart.\n") == (
        ended.returncode,
        ended.stderr,
    )
    ended = labeld(*flags, "--input", "in.csv", "--output", "out.csv")
    bad = [json.loads(line) for line in Path("out.csv.bad.jsonl").read_text().splitlines()]

    assert 3 == ended.returncode
    assert (
        "2 rows are classified in out.csv, and 4 bad rows are in out.csv.bad.jsonl with the reason.\n" == ended.stderr
    )
    assert [("1", "good"), ("6", "bad")] == [(str(row["id"]), row["text"]) for row in READ["out.csv"](Path("out.csv"))]
    assert bad == [
        {"file": "in.csv", "line": 3, "reason": "has 1 field, but the header has 2", "row": "2"},
        {
            "file": "in.csv",
            "line": 4,
            "reason": "is 602 tokens long, but the model takes at most 128: shorten it, or add --truncation.",
            "row": {"id": "3", "text": LONG},
        },
        {
            "file": "in.csv",
            "line": 5,
            "reason": "has null in column 'text', but must have a string",
            "row": {"id": "4", "text": None},
        },
        {
            "file": "in.csv",
            "line": 6,
            "reason": "is not UTF-8 in column 'text'",
            "row": {"id": "5", "text": "\\xff"},
        },
    ]
    cut = labeld(*flags, "--input", "in.csv", "--output", "cut.csv", "--truncation")
    assert "3 rows are classified in cut.csv, and 3 bad rows are in" in cut.stderr
    windows = labeld(*flags, "--input", "in.csv", "--output", "w.csv", "--stride", "16", "--aggregate", "mean")
    assert "3 rows are classified in w.csv, and 3 bad rows are in" in windows.stderr


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--output", "out.csv", "--column", "body"), "in.jsonl has no column 'body': it has id, text, tags."),
        (("--output", "out.csv", "--label-column", "id"), "in.jsonl already has a column 'id': give the one that is"),
        ((), "--input needs --output, the file for the rows with their answers."),
        (("--output", "in.parquet"), "in.parquet exists: name another one, or replace it with --overwrite."),
        (("--output", "no/out.csv"), "There is no folder no: name a file in a folder that exists."),
        (("--output", "out.foo"), "The name of out.foo does not say the format of the output: name one with"),
        (("--output", "-"), "Standard output (-) cannot go on after a kill: name a file with --output."),
        (("--output", "out.csv", "--label-column", ""), "A column that is added has no name: give --label-column"),
        (("--output", f"{'x' * 260}.csv"), "x'… is too long for a file: name a shorter one."),
        (("--output", f"{'x' * 245}.csv"), "x'… is too long for a file: name a shorter one."),
        (("--output", "out.csv", "--score-column", "label"), "The column 'label' is named twice: give each column"),
        (("--output", "out.csv", "--pair-column", "text"), "The column 'text' is named twice: give each column"),
        (("--output", "out.csv", "--all-scores", "--scores-column", "score"), "The column 'score' is named twice"),
        (("--output", "in.jsonl", "--overwrite"), "in.jsonl is one of the files that are read: name another one"),
        (("--output", "out.arrow.gz"), "out.arrow.gz would be compressed a second time, which is not written: name it"),
        (("--output", "out.parquet.zst"), "compressed a second time, which is not written: name it out.parquet."),
        (("--output", ""), "The name of a file is empty: give one, and see that no variable in it is unset."),
        (("--output", "out.csv", "--input", ""), "The name of a file is empty: give one, and see"),
        (("--output", "/proc/out.csv"), "/proc/out.csv cannot be written: see who may write to its folder, /proc."),
        (("--output", "out.csv", "--resume", "--overwrite"), "Take either --overwrite, which starts anew, or --resume"),
        (("--output", "out.csv", "--aggregate", "sum"), "`--aggregate` must be max, mean, or null for the default"),
    ],
)
def test_what_is_wrong_as_a_whole_is_one_sentence(flags: tuple[str, ...], more: tuple[str, ...], sentence: str) -> None:
    """Before anything is written."""
    before = sorted(Path().iterdir())
    ended = labeld(*flags, "--input", "in.jsonl", *more)

    assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))
    assert sentence in ended.stderr
    assert sorted(Path().iterdir()) == before


def test_an_output_is_replaced_only_when_asked(flags: tuple[str, ...]) -> None:
    """And --resume leaves one that this very run has completed as it is, and takes no other for complete."""
    command = (*flags, "--input", "in.parquet", "--output", "out.csv")
    assert 0 == labeld(*command).returncode
    whole = Path("out.csv").read_bytes()
    complete, other = labeld(*command, "--resume"), labeld(*command, "--resume", "--top-k", "1")
    Path("out.csv").write_text("old")
    refused, resumed = labeld(*command), labeld(*command, "--resume")

    assert (0, "out.csv is complete.\n") == (complete.returncode, complete.stderr)
    assert (1, True) == (other.returncode, "out.csv was begun with other options" in other.stderr)
    assert (1, 1, "old") == (refused.returncode, resumed.returncode, Path("out.csv").read_text())
    assert "out.csv exists, and which run has made it is not known" in resumed.stderr
    assert (0, whole) == (labeld(*command, "--overwrite").returncode, Path("out.csv").read_bytes())


def test_a_link_is_followed_and_stays(flags: tuple[str, ...]) -> None:
    """What it leads to is written, and not replaced unasked; one that leads to no end is refused."""
    Path("disk").mkdir()
    Path("out.csv").symlink_to("disk/first.csv")
    Path("round.csv").symlink_to("round.csv")
    command = (*flags, "--input", "in.parquet", "--output")
    first, again, over = labeld(*command, "out.csv"), labeld(*command, "out.csv"), labeld(*command, "round.csv")

    assert [0, 1, 1] == [first.returncode, again.returncode, over.returncode]
    assert Path("out.csv").is_symlink()
    assert len(READ["out.csv"](Path("disk/first.csv"))) == len(TEXTS)
    assert "disk/first.csv exists: name another one" in again.stderr
    assert "round.csv is a link that leads to no end: name another one, or remove it." in over.stderr


def test_overwriting_takes_nothing_away_before_it_can_begin(flags: tuple[str, ...]) -> None:
    """What is wrong with the new run leaves the old one's side file where it is."""
    Path("in.csv").write_text("id,text\n1,good\n2\n")
    command = (*flags, "--input", "in.csv", "--output", "out.csv")
    first = labeld(*command)
    refused = labeld(*command, "--overwrite", "--column", "typo")
    complete = labeld(*command, "--resume")

    assert [3, 1, 3] == [first.returncode, refused.returncode, complete.returncode]
    assert "out.csv is complete, but for the rows in out.csv.bad.jsonl.\n" == complete.stderr
    assert 1 == len(Path("out.csv.bad.jsonl").read_text().splitlines())


def test_another_alias_of_the_model_is_another_run(flags: tuple[str, ...]) -> None:
    """Half of the rows would have its labels or thresholds; and a configuration that is as before is the same run."""
    Path("labeld.yaml").write_text("models: {a: {model: org/bert, temperature: 2}, b: {model: org/bert}}")
    folder = flags[2:]
    command = ("--config", "labeld.yaml", *folder, "--input", "in.csv", "--output", "out.csv")
    Path("in.csv").write_text("text\n" + "good\n" * 4)
    first, same_run, other = (labeld("classify", alias, *command, *more) for alias, *more in _RUNS)
    Path("labeld.yaml").write_text("models: {a: {model: org/bert, temperature: 2, rename: {positive: good}}}")
    renamed = labeld("classify", "a", *command, "--resume")

    assert [0, 0, 1, 1] == [one.returncode for one in (first, same_run, other, renamed)], renamed.stderr
    for one in (other, renamed):
        assert "was begun with another temperature, thresholds, windows or names of labels in the config" in one.stderr


_RUNS = (("a",), ("a", "--resume"), ("b", "--resume"))


def test_standard_input_is_not_gone_on_with(flags: tuple[str, ...]) -> None:
    """Nobody can say that it has the same rows again."""
    ended = labeld(*flags, "--input", "-", "--format", "csv", "--output", "out.csv", "--resume")

    assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))
    assert "Standard input cannot be read again from where a run has ended: start anew with --overwrite" in ended.stderr


def test_files_that_a_shell_has_found_are_no_model(flags: tuple[str, ...]) -> None:
    """`--input part-*.csv` without a model: the first file behind the option is one of the files."""
    for number in range(3):
        Path(f"part-{number}.csv").write_text(f"text\nfilm {number}\n")
    parts = ("part-0.csv", "part-1.csv", "part-2.csv")
    ended = labeld("classify", "--input", *parts, "--output", "out.csv", "--threads", "1")

    assert (0, "3 rows are classified in out.csv.\n") == (ended.returncode, ended.stderr)


def test_the_same_pattern_goes_on_after_a_kill(flags: tuple[str, ...]) -> None:
    """What the run itself has written is no input, and neither is the output that it has made."""
    Path("in.jsonl").unlink()
    Path("in.parquet").unlink()
    Path("in.csv").write_text("id,text\n1,good\n2\n")
    command = (*flags, "--input", "*", "--output", "out.csv")
    first, again, anew = labeld(*command), labeld(*command, "--resume"), labeld(*command, "--overwrite")

    assert [3, 3, 3] == [one.returncode for one in (first, again, anew)], again.stderr
    assert anew.stderr == first.stderr


@pytest.mark.parametrize(
    "column",
    [pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), pa.nulls(1, pa.decimal128(3, -5))],
    ids=lambda one: str(one.type),
)
def test_types_that_parquet_lacks_are_said_at_once(flags: tuple[str, ...], column: Any) -> None:
    """Not when all rows are computed."""
    with pa.OSFile("in.arrow", "wb") as file:
        table = pa.table({"text": ["good"], "u": column})
        with pa.ipc.new_file(file, table.schema) as opened:
            opened.write_table(table)
    ended = labeld(*flags, "--input", "in.arrow", "--output", "out.parquet")

    assert (1, True) == (ended.returncode, "The column 'u' has " in ended.stderr), ended.stderr
    assert "which parquet cannot have: name out.parquet with another extension, such as .arrow." in ended.stderr
    assert not list(Path().glob("*out.parquet*"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), [("csv", 0), ("csv", 400_000), ("jsonl", 5000)])
def test_ctrl_c_ends_a_run_whose_input_is_silent(models_dir: Path, tmp_path: Path, name: str, rows: int) -> None:
    """Wherever it waits for a pipe: before it has read enough to begin, or while it computes."""
    command = ("classify", "org/bert", "--models-dir", str(models_dir), "--input", "-", "--format", name)
    given = b"text\n" + b"good\n" * rows if name == "csv" else b'{"text": "good"}\n' * rows

    code, said = interrupted((*command, "--output", "out.csv"), tmp_path, given)

    assert (130, "\nStopped: start anew with --overwrite.\n") == (code, said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "org/bert", "--label-column", "label"),
        ("compare", "org/bert", "--against", "http://127.0.0.1:9", "--limit", "1000000"),
        ("distill", "org/bert", "--output", "student"),
    ],
)
def test_ctrl_c_ends_a_command_that_waits_for_more_rows(
    models_dir: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Also those that read all rows before they compute."""
    flags = (*command, "--models-dir", str(models_dir), "--input", "-", "--format", "csv")

    code, said = interrupted(flags, tmp_path, b"text,label\n" + b"good,positive\n" * 400_000, after=0.5)

    assert 130 == code, said
    assert "Traceback" not in said


class Rows:
    """A file of texts, and the command that classifies them in a process of its own, in two streams.

    The last bit of the model's scores depends on which texts are computed together.
    """

    def __init__(self, folder: Path, rows: int, models_dir: Path) -> None:
        self.folder = folder
        lines = (f'{number},"{TEXTS[number % 6]} {number}"\n{"x" * (number % 500 == 7)}' for number in range(rows))
        (folder / "in.csv").write_text("id,text\n" + "".join(lines).replace("x", "bad row\n"))
        model = ("org/bert", "--models-dir", str(models_dir), "--threads", "2")
        self.command = ("classify", *model, "--input", "in.csv", "--output")

    def start(self, output: str, *more: str) -> Any:
        """A run, whose output on stderr is a file in its folder."""
        with (self.folder / "stderr").open("wb") as stderr:
            return start([*self.command, output, *more], dict(os.environ), self.folder, stderr.fileno())

    def ended(self, running: Any) -> tuple[int, str]:
        """The exit code of a run that ends, and what it says."""
        code: int = running.wait(60)
        running.stdout.close()
        return code, (self.folder / "stderr").read_text()

    def run(self, output: str, *more: str) -> tuple[int, str]:
        """The exit code of a run, and what it says."""
        return self.ended(self.start(output, *more))

    def parts(self, output: str) -> int:
        """Parts on the disk so far."""
        journal = self.folder / f"{output}.partial.json"
        return int(json.loads(journal.read_text())["parts"]) if journal.exists() else -1


@pytest.fixture
def rows(tmp_path: Path, models_dir: Path) -> Rows:
    """Rows of five parts."""
    return Rows(tmp_path, 4500, models_dir)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_a_run_that_is_killed_goes_on_to_the_same_output(rows: Rows, output: str) -> None:
    """At whichever moments, and however often, to the last bit, and the side file is the same too."""
    unbroken, _ = rows.run(f"whole-{output}")
    chance = random.Random(7)
    for kill in (signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        before = rows.parts(output)
        # NOTE: behind this process in line for a core, or a busy machine would let it end before it is killed
        running = rows.start(output, *(["--resume"] if before >= 0 else []))
        os.setpriority(os.PRIO_PROCESS, running.pid, 15)
        while rows.parts(output) <= before and running.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.random() / 100)  # a part takes less than a tenth of a second
        running.send_signal(kill)
        code, said = rows.ended(running)
    assert (3, 130, "\nStopped: what is done is kept, so go on with --resume.\n") == (unbroken, code, said)
    code, said = rows.run(output)
    assert (1, True) == (code, "was begun by a run that ended early: go on with --resume" in said)
    code, said = rows.run(output, "--resume")
    assert (3, True) == (code, said.startswith(f"4,500 rows are classified in {output}, and 9 bad rows are in"))

    for suffix in ("", ".bad.jsonl"):
        whole, resumed = (rows.folder / f"{name}{suffix}" for name in (f"whole-{output}", output))
        assert whole.read_bytes() == resumed.read_bytes()
    assert not list(rows.folder.glob(f"{output}.partial*"))


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_written(rows: Rows) -> None:
    """One sentence says so, and with more room the run goes on."""
    sentence = "out.csv cannot be completed, because the disk is full: free space, and go on with --resume."
    running = rows.start("out.csv")
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (120_000, 120_000))  # before it has opened the model
    code, said = rows.ended(running)
    assert (1, f"labeld: {sentence}") == (code, said.splitlines()[-1])  # the cache folder has no room either
    assert rows.parts("out.csv") >= 1
    code, said = rows.run("out.csv", "--resume", "--top-k", "1")
    assert (1, True) == (code, "out.csv was begun with other options: ask for the same again, or" in said)
    assert 3 == rows.run("out.csv", "--resume")[0]
    assert 4500 == len(READ["out.csv"](rows.folder / "out.csv"))
