"""Small faults of the machine or of its operator: each ends in a sentence, and nothing is left lying about."""

import errno
import json
import os
import pwd
import re
import resource
import subprocess
from pathlib import Path

import pytest
import requests

from labeld.auth.database_url import locate
from labeld.cli.serve import checked_settings
from labeld.config.load import load, unknown_variables
from labeld.config.settings import Compute
from labeld.errors import SettingsError, UnavailableError
from labeld.lifecycle.loader import named
from labeld.lifecycle.model import LoadOptions, load_model
from labeld.service.build import streams_and_threads
from labeld.system.cpu import MOST_PER_CORE
from labeld.system.json_file import replace_object
from tests.support.server_process import LABELD, SMALLEST, run_labeld, serving, wait_until
from tests.support.tools import missing, program


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


@pytest.fixture
def nobody() -> list[str]:
    """How a command is begun as a user whom the system does not know."""
    command = [program("unshare"), "--user", "--map-user=54321", "--"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        missing("user namespaces are not allowed")
    return command


def test_a_server_without_a_home(nobody: list[str], tmp_path: Path) -> None:
    """It names one missing place after the other, and then serves: no other part of it needs a home."""
    environment = {name: value for name, value in os.environ.items() if name != "HOME" and "LABELD" not in name}
    command = [*nobody, LABELD, "serve", SMALLEST, "--port", "0"]
    for name, value, sentence in (
        ("LABELD_CACHE_DIR", tmp_path / "cache", "labeld: cache_dir is ~/.cache/labeld, but this user has no home"),
        ("LABELD_TOKENS_DB", tmp_path / "tokens.sqlite3", "name a file in LABELD_TOKENS_DB."),
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (1, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
        assert sentence in done.stderr
        environment[name] = str(value)
    with (
        (tmp_path / "stderr").open("w") as stderr,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            url = re.findall(r"http://\S+", server.stdout.readline())[0]
            body = {"inputs": "good day"}
            assert 200 == requests.post(f"{url}/models/{SMALLEST}", json=body, timeout=60).status_code
            assert "labeld/sentiment-en" in requests.get(f"{url}/models", timeout=60).text
            server.terminate()
            assert 0 == server.wait(60)
        finally:
            server.kill()
    assert "Traceback" not in (tmp_path / "stderr").read_text()


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
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
def test_too_little_memory_is_no_fault_of_the_files(error: Exception) -> None:
    """Whatever library says so, and if it is only the cause."""

    def fail() -> None:
        raise RuntimeError("something else") from error

    with pytest.raises(UnavailableError, match=r"too little memory .*ulimit -v"):
        named("org/bert", fail)


def test_a_server_with_too_few_file_descriptors_says_so(tmp_path: Path) -> None:
    """At once, before a worker dies of it again and again."""
    done = subprocess.run(
        [LABELD, "serve", "--port", "0"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)),  # no threads here
        env={**os.environ, "LABELD_CACHE_DIR": str(tmp_path), "LABELD_HUB": "off"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    sentence = "A server needs 64 file descriptors at least, but may have 24: raise it (ulimit -n)."
    assert (1, "", f"labeld: {sentence}\n") == (done.returncode, done.stdout, done.stderr)


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


@pytest.mark.parametrize(
    "command",
    [
        ("classify", "good day"),
        ("run-batch", "-i", "/nowhere.jsonl", "-o", "/nowhere/out.jsonl"),
        ("evaluate", "labeld/sentiment-en", "--input", "/nowhere.csv"),
        ("compare", "labeld/sentiment-en", "--against", "transformers", "--input", "/nowhere.csv"),
        ("distill", "labeld/sentiment-en", "--input", "/nowhere.csv", "--output", "/nowhere/out"),
        ("models", "list"),
        ("models", "check", "labeld/none"),
        ("models", "verify", "labeld/none"),
        ("models", "pull", "labeld/none"),
        ("models", "remove", "labeld/none"),
        ("tokens", "list"),
        ("tokens", "create", "laptop"),
        ("config", "check", "/nowhere.yaml"),
    ],
    ids=" ".join,
)
def test_every_command_warns_of_misspelt_variables(command: tuple[str, ...]) -> None:
    """Once, on standard error, whether it works or not; where no settings are read nothing is said of them."""
    done = run_labeld(*command, LABELD_OFLINE="1")

    assert 1 == done.stderr.count("LABELD_OFLINE is no setting"), done.stderr
    assert "LABELD_OFLINE" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("--version",), ("classify", "--help"), ("config", "schema")], ids=" ".join)
def test_what_reads_no_settings_warns_of_none(command: tuple[str, ...]) -> None:
    """Help, for one, is asked for by who does not know the names yet."""
    done = run_labeld(*command, LABELD_OFLINE="1")

    assert (0, "") == (done.returncode, done.stderr)


def test_a_server_warns_of_what_its_operator_overlooked(tmp_path: Path) -> None:
    """A misspelt variable, and files of access tokens that others may read."""
    keys = tmp_path / "tokens"
    run_labeld("tokens", "create", "laptop", LABELD_TOKENS_DB=str(keys / "tokens.sqlite3"))
    (keys / "tokens.sqlite3-wal").touch()
    for file in keys.iterdir():
        file.chmod(0o666)
    names = ["tokens.sqlite3", "tokens.sqlite3.secret", "tokens.sqlite3-wal"]
    expected = [f"other users may read or write {name}" for name in names]
    expected.append("LABELD_MEMORY_BUGDET is no setting: is it LABELD_MEMORY_BUDGET?")
    with serving(tmp_path, LABELD_MEMORY_BUGDET="1GB") as server:
        assert wait_until(lambda: all(one in server.log.read_text() for one in expected)), server.log.read_text()
        assert 1 == server.log.read_text().count("LABELD_MEMORY_BUGDET")


@pytest.mark.parametrize("name", ["threads", "streams"])
def test_no_machine_has_a_hundred_thousand_threads(name: str) -> None:
    """It is refused at once, with what is possible here."""
    most = MOST_PER_CORE * (os.cpu_count() or 1)
    with pytest.raises(SettingsError, match=f"{name} is 100000, but must be at most {most}"):
        streams_and_threads(Compute(**{name: 100_000}))
    streams_and_threads(Compute(**{name: most}))


def test_no_machine_has_a_hundred_thousand_workers(tmp_path: Path) -> None:
    """Each is a process with models of its own: they are refused before the first one is made, by whoever asks."""
    most = MOST_PER_CORE * (os.cpu_count() or 1)
    sentence = f"workers is 100000, but must be at most {most}, {MOST_PER_CORE} per core of this machine."
    (tmp_path / "labeld.yaml").write_text("settings:\n  workers: 100000\n")

    by_flag = run_labeld("serve", "--workers", "100000")
    by_file = run_labeld("serve", "--config", str(tmp_path / "labeld.yaml"))
    checked = run_labeld("config", "check", str(tmp_path / "labeld.yaml"))

    assert [(1, f"labeld: {sentence}\n")] * 2 == [(one.returncode, one.stderr) for one in (by_flag, by_file)]
    assert 1 == checked.returncode
    assert f"labeld.yaml:2:3: {sentence}" in checked.stderr
    checked_settings({"workers": most})
