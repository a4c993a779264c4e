"""A folder of which reading has ended a process is not read again at once, and the log and the caller learn why."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from labeld.errors import FolderError, ModelBrokenError
from labeld.lifecycle import load_marks
from labeld.lifecycle.load_marks import LoadMarks
from labeld.lifecycle.loader import named
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from tests.support.server_process import serving, wait_until


def die(folder: Path) -> None:
    """A load that is killed for its memory."""
    os.kill(os.getpid(), 9)


def read(folder: Path) -> str:
    """A load that succeeds."""
    return folder.name


def in_a_process(cache: Path, folder: Path) -> None:
    """Reads the folder in a process that dies of it."""
    process = multiprocessing.get_context("fork").Process(target=LoadMarks(cache).guarded(die), args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == -9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file."""
    found = tmp_path / "model"
    found.mkdir()
    (found / "config.json").write_text("{}")
    return found


def test_a_folder_that_ended_a_process_waits_ever_longer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 s, then twice as long, then an hour at most; and a success is the end of it."""
    marks, now = LoadMarks(tmp_path / "cache"), 1e9
    monkeypatch.setattr(load_marks.time, "time", lambda: now)
    for deaths, pause in ((1, 30), (2, 60), (3, 120)):
        in_a_process(tmp_path / "cache", folder)
        times = "1 time" if deaths == 1 else f"{deaths} times"
        with pytest.raises(FolderError, match=rf"ended the server's process {times}: .* again in {pause} s"):
            marks.guarded(read)(folder)
        now += pause - 1
        with pytest.raises(FolderError, match="again in 1 s"):
            marks.guarded(read)(folder)
        now += 1
    assert "model" == marks.guarded(read)(folder)
    assert "model" == marks.guarded(read)(folder)
    assert [] == list((tmp_path / "cache" / load_marks.MARKS).iterdir())


def test_a_clock_that_is_set_back_does_not_make_the_pause_longer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins anew, and ends."""
    marks, now = LoadMarks(tmp_path / "cache"), 1e9
    monkeypatch.setattr(load_marks.time, "time", lambda: now)
    in_a_process(tmp_path / "cache", folder)
    with pytest.raises(FolderError, match="again in 30 s"):
        marks.guarded(read)(folder)
    now -= 3653 * 86_400
    with pytest.raises(FolderError, match="again in 30 s"):
        marks.guarded(read)(folder)
    now += 30

    assert "model" == marks.guarded(read)(folder)


def test_a_changed_or_forgiven_folder_is_read_at_once(folder: Path, tmp_path: Path) -> None:
    """The operator has replaced a file, or named the model at start."""
    marks = LoadMarks(tmp_path / "cache")
    in_a_process(tmp_path / "cache", folder)
    (folder / "config.json").write_text('{"a": 1}')
    assert "model" == marks.guarded(read)(folder)

    in_a_process(tmp_path / "cache", folder)
    marks.forgive(folder)
    assert "model" == marks.guarded(read)(folder)


def test_a_failure_that_is_told_is_no_death(folder: Path, tmp_path: Path) -> None:
    """Whatever is raised is raised again each time."""

    def fail(_: Path) -> None:
        raise FolderError("config.json is missing.")

    for _ in range(3):
        with pytest.raises(FolderError, match="is missing"):
            LoadMarks(tmp_path / "cache").guarded(fail)(folder)


def test_what_is_no_exception_is_a_failure_like_any_other() -> None:
    """Some libraries raise what only derives from BaseException; whoever waits for the load is told all the same."""

    class Panic(BaseException):
        pass

    def fail() -> None:
        raise Panic

    with pytest.raises(ModelBrokenError, match=r"org/bert .*not as they should be"):
        named("org/bert", fail)


def test_marks_of_others_and_broken_ones_do_no_harm(folder: Path, tmp_path: Path) -> None:
    """While another process reads the folder, where nothing can be written, and where a mark is no mark."""
    marks = LoadMarks(tmp_path / "cache")
    with marks.reading(folder):
        assert "model" == LoadMarks(tmp_path / "cache").guarded(read)(folder)
    assert "model" == LoadMarks(Path("/proc/nowhere")).guarded(read)(folder)
    for text in ("", "{", "[]", '{"state": 1}', json.dumps({"state": "x", "deaths": "y", "at": None, "reading": 1})):
        marks._path(folder).write_text(text)
        assert "model" == marks.guarded(read)(folder)


def test_a_model_that_kills_a_worker_is_refused_by_the_next(tmp_path: Path) -> None:
    """The request after the crash gets the reason, and the other models are served."""
    shutil.copytree(BUNDLED / DEFAULT_MODEL, tmp_path / "models/org/deadly")
    slow = ("--models-dir", str(tmp_path / "models"), "--precision", "float32,org/deadly=auto", "--load-grace", "0")
    with serving(tmp_path, *slow) as server:
        worker = server.get("/status").json()["pid"]
        assert server.post("/models/org/deadly", json={"inputs": "a"}).status_code == 503
        assert wait_until(lambda: "trying its precisions" in server.log.read_text())  # which takes seconds
        os.kill(worker, signal.SIGKILL)
        server.wait_ready()

        def answered() -> bool:
            reply = server.post("/models/org/deadly", json={"inputs": "a"})
            return reply.status_code == 500 and "has ended the server's process 1 time" in reply.json()["error"]

        assert wait_until(answered)
        assert server.post("/", json={"inputs": "a"}).status_code == 200


def test_folders_are_checked_beside_the_worker(models_dir: Path, tmp_path: Path) -> None:
    """Each broken one is named up to a number, the others are counted; good ones are not named."""
    models = tmp_path / "models"
    shutil.copytree(models_dir / "org/bert", models / "org/good")
    for number in range(25):
        (models / f"org/broken-{number:02}").mkdir()
        (models / f"org/broken-{number:02}/config.json").write_text("{")
    with serving(tmp_path, "--models-dir", str(models)) as server:
        assert wait_until(lambda: "15 other models cannot be served either" in server.log.read_text(), 30)
        assert 10 == server.log.read_text().count("cannot be served: config.json")
        assert "org/good" not in server.log.read_text()
