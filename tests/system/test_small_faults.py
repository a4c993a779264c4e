"""Small faults of the machine or of its operator: each ends in a sentence, and nothing is left lying about."""

import errno
import json
import os
import pwd
import resource
import subprocess
from pathlib import Path

import pytest

from labeld.auth.database_url import locate
from labeld.config.load import load, unknown_variables
from labeld.config.settings import Compute
from labeld.errors import SettingsError, UnavailableError
from labeld.lifecycle.loader import named
from labeld.lifecycle.model import LoadOptions, load_model
from labeld.service.build import MOST_PER_CORE, streams_and_threads
from labeld.system.json_file import replace_object
from tests.support.server_process import LABELD, run_labeld, serving, wait_until


@pytest.fixture
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of a container: no HOME, and unknown to the system."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("_homeless")
def test_a_user_without_a_home_is_told_what_to_set() -> None:
    """The setting and its variable are named; with another place there is no need for a home."""
    with pytest.raises(SettingsError, match=r"cache_dir is ~/.*no home folder: name another place in LABELD_CACHE_DIR"):
        load({}, {})
    with pytest.raises(SettingsError, match="name a file in LABELD_TOKENS_DB"):
        locate(None)
    assert not load({}, {"LABELD_CACHE_DIR": "/tmp/cache"}).hub.hf_cache.exists()


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """The old file stays, and the unfinished one is removed."""
    replace_object(tmp_path / "facts.json", {"a": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        replace_object(tmp_path / "facts.json", {"a": "x" * 100_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert [tmp_path / "facts.json"] == list(tmp_path.iterdir())
    assert {"a": 1} == json.loads((tmp_path / "facts.json").read_text())


def test_too_few_file_descriptors_are_no_changed_file(models_dir: Path, tmp_path: Path) -> None:
    """Clients are asked to retry, whichever file could not be opened."""
    options = LoadOptions(1, 1, 1000, 128, tmp_path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for spare in range(3):
        lowest_free = os.open("/dev/null", os.O_RDONLY)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + spare, before[1]))
        try:
            named("org/bert", load_model, "org/bert", models_dir / "org/bert", options)
        except UnavailableError as error:
            assert "too few file descriptors" in str(error)  # noqa: PT017  # with one to spare it may succeed
        else:
            assert spare
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        ImportError("some.so: failed to map segment from shared object"),
        RuntimeError("Cannot allocate memory"),
    ],
    ids=repr,
)
def test_too_little_memory_is_no_fault_of_the_files(error: Exception) -> None:
    """Whatever library says so, and if it is only the cause."""

    def fail() -> None:
        raise RuntimeError("something else") from error

    with pytest.raises(UnavailableError, match=r"too little memory .*ulimit -v"):
        named("org/bert", fail)


def test_a_server_with_too_little_memory_says_so(tmp_path: Path) -> None:
    """It ends, with a sentence and without a traceback."""
    limit = 300 * 1024 * 1024
    done = subprocess.run(
        [LABELD, "serve", "--port", "0"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),  # no threads here
        env={**os.environ, "LABELD_CACHE_DIR": str(tmp_path), "LABELD_HUB": "off"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    assert "too little memory" in done.stderr
    assert "Traceback" not in done.stderr


def test_misspelt_variables_are_named() -> None:
    """With the nearest one that there is; those of others are nobody's business."""
    environ = {"LABELD_MAX_INPUT": "3", "LABELD_QQQQQQQQ": "1", "LABELD_PORT": "1", "HOME": "/", "LABEL": "x"}
    assert [
        "The environment variable LABELD_MAX_INPUT is no setting: is it LABELD_MAX_INPUTS?",
        "The environment variable LABELD_QQQQQQQQ is no setting; `labeld serve --help` has all.",
    ] == unknown_variables(environ)


def test_a_server_warns_of_what_its_operator_overlooked(tmp_path: Path) -> None:
    """A misspelt variable, and files of access tokens that others may read."""
    keys = tmp_path / "tokens"
    run_labeld("tokens", "create", "laptop", LABELD_TOKENS_DB=str(keys / "tokens.sqlite3"))
    for file in keys.iterdir():
        file.chmod(0o666)
    names = [file.name for file in keys.iterdir() if file.suffix in {".sqlite3", ".secret"}]
    expected = [f"other users may read or write {name}" for name in names]
    assert 2 == len(expected)
    expected.append("LABELD_MEMORY_BUGDET is no setting: is it LABELD_MEMORY_BUDGET?")
    with serving(tmp_path, LABELD_MEMORY_BUGDET="1GB") as server:
        assert wait_until(lambda: all(one in server.log.read_text() for one in expected)), server.log.read_text()


@pytest.mark.parametrize("name", ["threads", "streams"])
def test_no_machine_has_a_hundred_thousand_threads(name: str) -> None:
    """It is refused at once, with what is possible here."""
    most = MOST_PER_CORE * (os.cpu_count() or 1)
    with pytest.raises(SettingsError, match=f"{name} is 100000, but must be at most {most}"):
        streams_and_threads(Compute(**{name: 100_000}))
    streams_and_threads(Compute(**{name: most}))
