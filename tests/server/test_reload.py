"""The configuration file of a running server: aliases that answer, and SIGHUP, which takes all of it or nothing."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.paths import PACKAGE
from tests.support.processor import needs_int8
from tests.support.server_process import Server, run_labeld, serving, wait_until

BEFORE = """\
settings: {cache_bytes: 0}
models:
  sentiment: {model: labeld/sentiment-en, pin: true}
  fast: {model: labeld/sentiment-en, precision: int8}
"""
WAIT = {"x-wait-for-model": "true"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The configuration file of a server."""
    path = tmp_path / "labeld.yaml"
    path.write_text(BEFORE)
    return path


@pytest.fixture
def running(tmp_path: Path, file: Path) -> Iterator[Server]:
    """A server with that file."""
    with serving(tmp_path, "--config", str(file)) as server:
        yield server


def status(server: Server, model: str) -> int:
    """The status of one request on a connection of its own; 0 where a worker that ends has closed it."""
    try:
        reply = requests.post(f"{server.url}/models/{model}", json={"inputs": "good"}, headers=WAIT, timeout=60)
    except requests.ConnectionError:
        return 0
    return reply.status_code


def hang_up(server: Server, file: Path, text: str) -> None:
    """The file has this text, and the server is told so."""
    file.write_text(text)
    server.process.send_signal(signal.SIGHUP)


@needs_int8
def test_an_alias_answers_wherever_an_id_does(running: Server) -> None:
    """As its model, which is loaded once for both; with a precision of its own it is a model of its own."""
    by_id = running.classify("good", "labeld/sentiment-en")

    assert by_id == running.classify("good", "sentiment")
    assert by_id != running.classify("good", "fast")
    info = running.get("/models/sentiment/info").json()
    assert ("sentiment", "labeld/sentiment-en") == (info["model_id"], info["alias_of"])
    assert "int8" == running.get("/models/fast/info").json()["model_dtype"]
    assert 200 == running.get("/models/sentiment/health").status_code
    assert "Loaded" == running.get("/status/sentiment").json()["state"]
    assert {"sentiment", "fast"} < {one["id"] for one in running.get("/api/models").json()}
    page = running.get("/models/sentiment").json()
    assert ("sentiment", "labeld/sentiment-en", "loaded") == (page["model_id"], page["alias_of"], page["state"])
    assert 2 == len(running.get("/status").json()["models"])


def test_a_good_file_is_taken_over(running: Server, file: Path) -> None:
    """New aliases answer, old ones are gone, and what needs a restart is logged and stays."""
    hang_up(running, file, "settings: {workers: 2}\nmodels: {language: {model: labeld/language-20}}\n")
    running.wait_ready()

    assert wait_until(lambda: (200, 404) == (status(running, "language"), status(running, "sentiment")), 30)
    assert wait_until(lambda: "workers counts after a restart" in running.log.read_text())


WRONG = {
    "models:\n  new: {model: labeld/language-20}\n  old: {modle: x}\n": "labeld.yaml:3:9: models.old.modle is",
    "settings: {port: x}\nmodels: {new: {model: labeld/language-20}}\n": "labeld.yaml:1:18: settings.port is",
    "models: {new: {model: labeld/language-20}}\nsettings: {hub: any, host: 192.0.2.1}\n": "192.0.2.1",
    "models: {new: {model: labeld/language-20}}\nsettings: {models: [org/none]}\n": (
        "labeld.yaml:2:12: settings.models is org/none, which cannot be used: Model org/none does not exist."
    ),
    "models:\n  new: {model: labeld/language-20}\n  old: {model: labeld/sentiment-en, rename: {NEGATVE: bad}}\n": (
        "labeld.yaml:3:46: The model of old has no label 'NEGATVE', only NEGATIVE, POSITIVE."
    ),
    "models: {new: {model: labeld/language-20}}\nreranker: org/none\n": (
        "labeld.yaml:2:1: reranker is org/none, which cannot be used"
    ),
    "models: {new: {model: labeld/language-20}}\npolicies: {p: {models: {new: {threshold: {xy: 0.5}}}}}\n": (
        "labeld.yaml:2:43: The answers of new have no label 'xy'"
    ),
    "models: {new: {model: labeld/language-20, windows: {stride: 600, max_length: 900}}}\n": (
        "labeld.yaml:1:53: models.new.windows.stride is 600, but labeld/language-20 reads at most"
    ),
}
"""Files, and what the log says of each."""


def test_a_wrong_file_changes_nothing(running: Server, file: Path) -> None:
    """The log has its mistakes, and the old aliases go on in the old worker; a good one after them is taken over."""
    for text, logged in WRONG.items():
        hang_up(running, file, text)

        assert wait_until(lambda logged=logged: logged in running.log.read_text(), 30), logged
        assert (200, 404) == (status(running, "sentiment"), status(running, "new")), text
    assert "Traceback" not in running.log.read_text()
    hang_up(running, file, BEFORE.replace("sentiment:", "third:"))
    running.wait_ready()
    assert wait_until(lambda: (200, 404) == (status(running, "third"), status(running, "sentiment")), 30)


def test_models_that_do_not_load_change_nothing(running: Server, file: Path, tmp_path: Path) -> None:
    """The weights are read by the new worker alone, and the old one stays when that does not become ready."""
    folder = shutil.copytree(PACKAGE / "bundled/labeld/sentiment-en", tmp_path / "models/org/broken")
    (folder / "model.safetensors").write_bytes(b"nothing")
    hang_up(running, file, f"settings: {{models_dir: {tmp_path}/models, models: [org/broken]}}\n")

    assert wait_until(lambda: "the old one stays, the restart ends here" in running.log.read_text(), 30)
    assert (200, 404) == (status(running, "sentiment"), status(running, "new"))


def test_the_process_that_checks_is_another_one(tmp_path: Path, file: Path) -> None:
    """The supervisor has no engine after reloads, refused and not, and no process is left of the checks."""
    with serving(tmp_path, "--config", str(file), anew=True) as server:
        hang_up(server, file, BEFORE.replace("pin: true", "rename: {GOOD: bad}"))
        assert wait_until(lambda: "has no label 'GOOD'" in server.log.read_text(), 30)
        hang_up(server, file, BEFORE)
        server.wait_ready()

        assert "openvino" not in Path(f"/proc/{server.process.pid}/maps").read_text()
        assert wait_until(lambda: 2 == len(server.processes())), server.processes()


def test_a_token_counts_for_the_name_that_is_asked(tmp_path: Path, file: Path) -> None:
    """One for an alias opens only the alias, and one for the model only its id."""
    database = {"LABELD_TOKENS_DB": str(tmp_path / "tokens" / "tokens.sqlite3")}
    (tmp_path / "tokens").mkdir()
    tokens = [
        run_labeld("tokens", "create", name, "--model", name, **database).stdout.split()[-1]
        for name in ("sentiment", "labeld/sentiment-en")
    ]
    with serving(tmp_path, "--config", str(file)) as server:
        found = [
            server.post(f"/models/{name}", json={"inputs": "good"}, headers={"authorization": f"Bearer {token}"})
            for token in tokens
            for name in ("sentiment", "labeld/sentiment-en")
        ]

    assert [200, 403, 403, 200] == [reply.status_code for reply in found], [reply.text for reply in found]


def test_an_alias_that_cannot_answer_is_logged_with_its_line(tmp_path: Path, file: Path) -> None:
    """The server starts without it."""
    file.write_text("models:\n  gone: {model: org/none}\n")
    with serving(tmp_path, "--config", str(file)) as server:
        assert 404 == status(server, "gone")

        assert "labeld.yaml:2:10: models.gone.model is org/none, which cannot be used: " in server.log.read_text()


def test_whatever_the_check_refuses_is_logged_at_the_start(tmp_path: Path, file: Path) -> None:
    """Models of flags, of settings and of policies, labels and windows, in its sentences."""
    file.write_text(
        "zero_shot: org/gone\n"
        "models: {typo: {model: labeld/sentiment-en, rename: {NEGATVE: bad}, windows: {stride: 600}}}\n"
        "policies: {p: {models: {org/lost: {}, labeld/sentiment-en: {threshold: {toxc: 0.5}}}}}\n"
    )
    with serving(tmp_path, "--config", str(file), "--reranker", "org/none") as server:
        log = server.log.read_text()

    for expected in (
        "reranker is org/none, which cannot be used: Model org/none does not exist",
        "labeld.yaml:1:1: zero_shot is org/gone, which cannot be used",
        "labeld.yaml:2:54: The model of typo has no label 'NEGATVE', only NEGATIVE, POSITIVE.",
        "labeld.yaml:2:79: models.typo.windows.stride is 600, but labeld/sentiment-en reads at most 512 tokens",
        "labeld.yaml:3:25: policies.p.models.org/lost is org/lost, which cannot be used",
        "labeld.yaml:3:73: The answers of labeld/sentiment-en have no label 'toxc'",
    ):
        assert expected in log, log
