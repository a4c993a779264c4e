"""`labeld classify --input`: the texts of files, with a progress bar, and answers in another file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import typer
from rich import progress
from rich.console import Console

from labeld.classifier import Classifier, RankingParameters
from labeld.cli.resumable import stopped
from labeld.config.models_file import ModelEntry
from labeld.config.settings import Settings
from labeld.files.classify import Columns, classify_parts, for_throughput
from labeld.files.earlier_runs import completed, own_files, require_apart, require_free
from labeld.files.encoding import encoder
from labeld.files.errors import FileError
from labeld.files.formats import KNOWN, STANDARD_INPUT, Format, compression_of, format_of, require_name, says_format
from labeld.files.journal import Done, side_file, state
from labeld.files.output import Output
from labeld.files.reader import Part, Rows, open_rows
from labeld.files.streams import is_read_once
from labeld.protocol.parameters import read_parameters
from labeld.system.links import followed

SOME_BAD = 3
"""Exit code where some rows are in the side file and all others are classified."""


@dataclass(frozen=True, slots=True)
class Files:
    """What is read and where the answers go, as the flags say."""

    inputs: tuple[str, ...]
    output: str | None
    columns: Columns
    input_format: str | None
    overwrite: bool
    resume: bool


def classify_files(files: Files, settings: Settings, asked: RankingParameters) -> int:
    """Classifies the texts of files, says how it went on standard error, and returns the exit code.

    Raises LabeldError for whatever is wrong as a whole.
    """
    try:
        return _classify(files, settings, asked)
    except KeyboardInterrupt:
        stopped(may_resume=not any(map(is_read_once, files.inputs)))


def _classify(files: Files, settings: Settings, asked: RankingParameters) -> int:
    if files.output is None:
        raise FileError("--input needs --output, the file for the rows with their answers.")
    read_parameters(dict(asked))
    files.columns.require_different()
    kind = _output_format(files.output)
    path = followed(Path(files.output))
    files = replace(files, output=str(path))
    require_free(path, overwrite=files.overwrite, resume=files.resume)
    if files.resume and (once := next(filter(is_read_once, files.inputs), None)):
        raise FileError(
            f"{'Standard input' if once == STANDARD_INPUT else once} cannot be read again from where a run has ended: "
            "start anew with --overwrite, or write the rows to a file first."
        )
    rows = open_rows(
        files.inputs,
        files.columns.texts,
        None,
        format=files.input_format,
        keep_json=kind.name == "jsonl",
        added=[field.name for field in files.columns.added],
        written=own_files(path),
    )
    with closing(rows):
        require_apart(path, rows.files)
        return _classify_rows(rows, kind, files, settings, asked)


def _classify_rows(rows: Rows, kind: Format, files: Files, settings: Settings, asked: RankingParameters) -> int:
    path = Path(files.output or "")
    with Classifier.from_settings(for_throughput(settings)) as classifier:
        run = _run(files, rows, classifier, asked, settings)
        if files.resume and (done := completed(path, run)):
            typer.echo(f"{path} is complete{_but(done, path)}.", err=True)
            return SOME_BAD if done.bad else 0
        made = encoder(kind.name, rows.schema, files.columns.added)
        with Output(path, kind, made, run, overwrite=files.overwrite) as output:
            with _bar(rows, output.done) as written:
                for part in classify_parts(classifier, rows, files.columns, asked, output):
                    written(part)
            output.complete()
            done = output.done
    what = "1 row is" if done.rows == 1 else f"{done.rows:,} rows are"
    typer.echo(f"{what} classified in {path}{_bad(done, path)}.", err=True)
    return SOME_BAD if done.bad else 0


def _output_format(path: str) -> Format:
    if path == STANDARD_INPUT:
        raise FileError("Standard output (-) cannot go on after a kill: name a file with --output.")
    require_name(path)
    if not says_format(path):
        raise FileError(f"The name of {path} does not say the format of the output: name one with {KNOWN}.")
    compression, whole = compression_of(path), str(Path(path).with_suffix(""))
    if compression and format_of(whole).name in {"parquet", "arrow"}:
        raise FileError(f"{path} would be compressed a second time, which is not written: name it {whole}.")
    return format_of(path)


def _but(done: Done, path: Path) -> str:
    return f", but for the rows in {side_file(path)}" if done.bad else ""


def _bad(done: Done, path: Path) -> str:
    if not done.bad:
        return ""
    return f", and {done.bad:,} bad row{'s are' if done.bad > 1 else ' is'} in {side_file(path)} with the reason"


def _run(
    files: Files, rows: Rows, classifier: Classifier, asked: RankingParameters, settings: Settings
) -> dict[str, Any]:
    """What makes two runs the same, so that one can go on with the other's output."""
    name = next(iter(settings.folders.models), "")
    alias = settings.file.models.get(name)
    of_alias = alias and [dict(alias.rename), alias.temperature, _thresholds(alias), asdict(alias.windows)]
    return {
        "inputs": [state(one) for one in rows.files if not is_read_once(one)],
        "model": f"{classifier.model_id} {classifier.revision}",
        "precision": classifier.precision,
        "alias": of_alias,
        "options": [
            *(list(files.columns), dict(sorted(asked.items())), files.input_format),
            settings.inputs.max_text_characters,
        ],
    }


def _thresholds(alias: ModelEntry) -> Any:
    return dict(alias.thresholds) if isinstance(alias.thresholds, Mapping) else alias.thresholds


@contextmanager
def _bar(rows: Rows, done: Done) -> Iterator[Callable[[Part], None]]:
    """A bar on standard error, if that is a terminal: rows, their rate, and the time left where the size is known."""
    console = Console(stderr=True)
    columns = (
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} rows/s"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=rows.size, completed=done.size, rows=done.rows, rate=0.0)
        new = 0

        def written(part: Part) -> None:
            nonlocal new
            new += part.table.num_rows
            elapsed = bar.tasks[0].elapsed or 1.0
            bar.update(task, advance=part.size, rows=done.rows + new, rate=new / elapsed)

        yield written
        bar.update(task, total=1, completed=1)
