"""A model folder that may do harm is read by another process first, and refused before the worker touches it."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labeld.checkpoint.config import read_config
from labeld.errors import FolderError, UnavailableError
from labeld.lifecycle import folder_check, folder_reader
from labeld.lifecycle.errors import DeadlyFolderError
from labeld.lifecycle.folder_check import FolderCheck, is_plain
from labeld.lifecycle.folder_reader import FolderReader
from labeld.repository.folders import LISTING_AGE
from labeld.server.worker_process import HUNG_AFTER
from tests.support.server_process import serving

PATTERN = {"type": "Split", "pattern": {"Regex": r"(?i)[\p{L}\p{N}]"}, "behavior": "Isolated", "invert": False}
"""Takes a millisecond to compile."""


def copy(models_dir: Path, folder: Path, name: str = "org/bert") -> Path:
    """A folder of a good model."""
    shutil.copytree(models_dir / name, folder)
    return folder


def give_patterns(folder: Path, count: int) -> Path:
    """The folder, whose tokenizer.json is taken as it is, with so many patterns."""
    content = json.loads((folder / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [PATTERN] * count}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def give_long_pieces(folder: Path) -> Path:
    """The folder with a tokenizer.json of 1.5 MB, which takes several hundred while it is parsed."""
    pieces = [["<unk>", 0.0], *([f"{number:x}" * 300, -1.0] for number in range(1024, 2048))]
    model = {"type": "Unigram", "unk_id": 0, "vocab": pieces}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return folder


@pytest.fixture
def check(tmp_path: Path) -> FolderCheck:
    """That of a server."""
    return FolderCheck(tmp_path / "cache", threading.Event(), serves=True)


def test_limits_leave_room_for_an_answer_to_a_ping() -> None:
    """What a load may hold Python's lock for is well below what the supervisor waits."""
    assert 0.7 * HUNG_AFTER >= folder_reader.HOLD_LIMIT


@pytest.mark.parametrize(
    ("damage", "plain"),
    [
        (lambda _: None, True),
        (lambda folder: (folder / "tokenizer.json").unlink(), True),
        (lambda folder: give_patterns(folder, 1), False),
        (give_long_pieces, False),
        (lambda folder: (folder / "spm.model").write_bytes(b"a"), False),
        (lambda folder: (folder / "vocab.txt").write_bytes(b"a\n" * 4 * 2**20), False),
        (lambda folder: (folder / "tokenizer.json").write_text(r'{"model": {"voc\u0061b": []}}'), False),
    ],
)
def test_which_folders_the_worker_reads_at_once(
    models_dir: Path, tmp_path: Path, damage: Callable[[Path], object], plain: bool
) -> None:
    """Small lists of words and merges; neither patterns, nor pieces, nor what may hide one."""
    folder = copy(models_dir, tmp_path / "model")
    damage(folder)
    assert plain == is_plain(folder)


def test_a_good_folder_is_read_apart_once(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server with this cache folder reads it at once, until a file changes."""
    folder = give_patterns(copy(models_dir, tmp_path / "model"), 1)
    FolderCheck(tmp_path / "cache", threading.Event(), serves=True).require_harmless(folder)

    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(folder_check, "FolderReader", unexpected)
    again = FolderCheck(tmp_path / "cache", threading.Event(), serves=True)
    again.require_harmless(folder)
    give_patterns(folder, 2)
    with pytest.raises(AssertionError):
        again.require_harmless(folder)


def test_what_is_wrong_is_said_by_the_reader(models_dir: Path, tmp_path: Path, check: FolderCheck) -> None:
    """With the sentence that a load would give, each time."""
    folder = give_patterns(copy(models_dir, tmp_path / "model"), 1)
    (folder / "config.json").write_text("{")
    with pytest.raises(FolderError) as in_process:
        read_config(folder)
    for _ in range(2):
        with pytest.raises(FolderError) as apart:
            check.require_harmless(folder)
        assert str(in_process.value) == str(apart.value)


def test_what_holds_the_lock_is_refused_and_remembered(
    models_dir: Path, tmp_path: Path, check: FolderCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer.json of a few hundred KB whose patterns take seconds to compile."""
    monkeypatch.setattr(folder_reader, "HOLD_LIMIT", 0.5)
    folder = give_patterns(copy(models_dir, tmp_path / "model"), 3000)
    with pytest.raises(DeadlyFolderError, match="without a pause, in which nobody else would be answered"):
        check.require_harmless(folder)
    with pytest.raises(FolderError, match="a smaller tokenizer: they are read again in 30 s"):
        check.require_harmless(folder)


def test_what_takes_memory_is_refused(
    models_dir: Path, tmp_path: Path, check: FolderCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the machine has none left."""
    monkeypatch.setattr(folder_reader, "MEMORY_LIMIT", 150_000_000)
    folder = give_long_pieces(copy(models_dir, tmp_path / "model"))
    with pytest.raises(DeadlyFolderError, match="takes more than 150MB of memory"):
        check.require_harmless(folder)


def test_what_takes_long_is_refused(
    models_dir: Path, tmp_path: Path, check: FolderCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although Python runs meanwhile."""
    monkeypatch.setattr(folder_reader, "TIME_LIMIT", 0.05)
    folder = give_patterns(copy(models_dir, tmp_path / "model"), 300)
    with pytest.raises(DeadlyFolderError, match="takes longer than"):
        check.require_harmless(folder)


def test_a_stop_ends_a_reading(models_dir: Path, tmp_path: Path) -> None:
    """At once, and it counts as no failure of the folder."""
    stopping = threading.Event()
    stopping.set()
    folder = give_patterns(copy(models_dir, tmp_path / "model"), 1)
    with pytest.raises(UnavailableError):
        FolderCheck(tmp_path / "cache", stopping, serves=True).require_harmless(folder)
    FolderCheck(tmp_path / "cache", threading.Event(), serves=True).require_harmless(folder)


def test_leaving_a_reader_ends_who_waits_for_it(models_dir: Path, tmp_path: Path) -> None:
    """On another thread, which learns that the process is gone."""
    folder = give_patterns(copy(models_dir, tmp_path / "model"), 3000)
    with ThreadPoolExecutor(1) as pool:
        with FolderReader(threading.Event()) as reader:
            waiting = pool.submit(reader.read, folder)
            time.sleep(0.3)
        with pytest.raises(DeadlyFolderError):
            waiting.result(10)


def test_a_folder_that_ends_the_reader_is_named(
    models_dir: Path, check: FolderCheck, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The check of all folders at start goes on with the next."""
    monkeypatch.setattr(folder_reader.sys, "executable", shutil.which("false"))
    folder = models_dir / "org/bert"
    asyncio.run(check.warn_of_broken({"org/a": folder, "org/b": folder}))
    assert [f"model {one} cannot be served: {folder_reader.DIED}" for one in ("org/a", "org/b")] == [
        one.getMessage() for one in caplog.records if one.name == folder_check.__name__
    ]


@pytest.mark.server
def test_a_server_refuses_what_would_end_its_worker(models_dir: Path, tmp_path: Path) -> None:
    """A request names a folder whose small tokenizer takes many seconds: the worker lives, and answers others."""
    models = tmp_path / "models"
    copy(models_dir, models / "org/good", "org/distilbert")
    with serving(tmp_path, "org/good", "--models-dir", str(models), "--cache-bytes", "0") as server:
        before = server.get("/status").json()["pid"]
        give_patterns(copy(models_dir, models / "org/deadly"), 20_000)
        time.sleep(1.5 * LISTING_AGE)
        with ThreadPoolExecutor(1) as pool:
            waits = {"x-wait-for-model": "true"}
            deadly = pool.submit(server.post, "/models/org/deadly", json={"inputs": "a"}, headers=waits)
            slowest = 0.0
            while not deadly.done():
                began = time.monotonic()
                assert server.get("/health").status_code == 200
                server.classify("a film", "org/good")
                slowest = max(slowest, time.monotonic() - began)
        reply = deadly.result()
        assert (500, True) == (reply.status_code, "without a pause" in reply.json()["error"]), reply.text
        assert slowest < HUNG_AFTER / 2
        assert before == server.get("/status").json()["pid"]
        assert "was hung" not in server.log.read_text()
