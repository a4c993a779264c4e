"""`labeld serve` and `labeld classify` as processes: broken folders, bad settings, stopping, hanging."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from labeld.folders import DEFAULT_MODEL
from tests.server_process import run_labeld, serving, wait_until


def broken(models_dir: Path, root: Path, spoil: Callable[[Path], object]) -> Path:
    """A folder of models with `org/good`, and `org/broken` spoilt."""
    for name in ("good", "broken"):
        shutil.copytree(models_dir / "org/bert", root / "org" / name)
    spoil(root / "org/broken")
    return root


def cut(folder: Path) -> None:
    """Cuts the weights off in the middle."""
    os.truncate(folder / "model.safetensors", 1000)


def change(**keys: Any) -> Callable[[Path], object]:
    """Changes keys of config.json."""
    return lambda folder: (folder / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | keys)
    )


BROKEN = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "config is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json is not valid JSON"),
    "no tokenizer": (lambda folder: [path.unlink() for path in folder.glob("*t*k*n*")], "tokenizer"),
    "tokenizer is no JSON": (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json is not"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors"),
    "weights cut off": (cut, "model.safetensors"),
    "wrong shape": (change(hidden_size=32), "has shape"),
    "other architecture": (change(architectures=["BertForMaskedLM"]), "ForSequenceClassification"),
    "unknown model_type": (change(model_type="mamba"), "model_type 'mamba'"),
    "small vocabulary": (change(vocab_size=10), "vocab_size 10"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_stops_the_start_with_one_sentence(models_dir: Path, tmp_path: Path, case: str) -> None:
    """It names the file and what is wrong; no traceback, exit code 1."""
    spoil, expected = BROKEN[case]
    root = broken(models_dir, tmp_path / "models", spoil)
    if case == "no tokenizer":
        (root / "org/broken/vocab.txt").unlink(missing_ok=True)
    done = run_labeld("serve", "org/broken", "--port", "0", "--models-dir", str(root))

    assert 1 == done.returncode
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_model_does_not_harm_the_others(models_dir: Path, tmp_path: Path) -> None:
    """It is warned of at start, its requests are told why, and the rest is served."""
    root = broken(models_dir, tmp_path / "models", cut)
    with serving(tmp_path, "org/good", "--models-dir", str(root)) as server:
        assert wait_until(lambda: "org/broken cannot be served: model.safetensors" in server.log.read_text())
        reply = server.post("/models/org/broken", json={"inputs": "a"})

        assert 500 == reply.status_code
        assert "model.safetensors" in reply.json()["error"]
        assert str(root) not in reply.text
        assert 1 == len(server.classify("a", "org/good"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--host", "0.0.0.0"], "--allow-anonymous"),
        (["--max-inputs", "0"], "--max-inputs is 0, but must be at least 1"),
        (["--models-dir", "/nowhere"], "models_dir is '/nowhere', which is not a folder"),
        (["org/none"], "Model org/none does not exist"),
        (["--port", "99999"], "--port is 99999, but must be at most 65535"),
    ],
)
def test_an_impossible_setting_stops_the_start_with_one_sentence(arguments: list[str], expected: str) -> None:
    """It names the setting."""
    done = run_labeld("serve", *arguments)

    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    """With the way out."""
    with serving(tmp_path) as server:
        done = run_labeld("serve", "--port", server.url.rsplit(":", 1)[1])

    assert 1 == done.returncode
    assert "already in use" in done.stderr


def test_a_request_in_flight_is_answered_after_sigterm(tmp_path: Path) -> None:
    """The drain delivers it, and the server ends with 0."""
    replies: list[requests.Response] = []
    with serving(tmp_path) as server:
        texts = ["I waited an hour for this and it was cold. " * 8] * 100
        asking = threading.Thread(target=lambda: replies.append(server.post("/", json={"inputs": texts})))
        asking.start()
        assert wait_until(lambda: server.get("/health").elapsed.total_seconds() > 0)
        server.process.send_signal(signal.SIGTERM)
        asking.join()

        assert 0 == server.process.wait(timeout=30)
    assert 200 == replies[0].status_code
    assert 100 == len(replies[0].json())


def test_a_hung_engine_is_replaced(tmp_path: Path) -> None:
    """A batch that runs for longer than batch_timeout: its caller is told to come back, and a new process answers."""
    texts = ["good " * 400] * 200  # one batch of 80,000 tokens, whose mask alone takes longer than the timeout
    with serving(tmp_path, "--batch-timeout", "0.3", "--batch-tokens", "8000") as server:
        reply = server.post("/", json={"inputs": texts})
        assert 503 == reply.status_code
        assert reply.headers["retry-after"]
        server.wait_ready()

        assert 200 == server.post("/", json={"inputs": "good"}).status_code
        assert "batch_timeout" in server.log.read_text()


def test_classify_prints_json_lines_when_piped() -> None:
    """One ranking per text, in order; parameters as over HTTP."""
    done = run_labeld("classify", "I love it", "I hate it", "--top-k", "1", "--function", "none")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert ["POSITIVE", "NEGATIVE"] == [line[0]["label"] for line in lines]
    assert [1, 1] == [len(line) for line in lines]


def test_classify_reads_lines() -> None:
    """Each line of standard input is a text, an empty one too."""
    done = run_labeld("classify", "--model", "labeld/language-20", "--json", stdin="bonjour le monde\n\nhello world\n")
    best = [json.loads(line)[0]["label"] for line in done.stdout.splitlines()]

    assert 3 == len(best)
    assert ("fr", "en") == (best[0], best[2])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a", "--model", "none"], "Model none does not exist"),
        (["a", "--function", "tanh"], "--function is 'tanh'"),
        (["a", "--top-k", "0"], "--top-k"),
        (["good " * 600], "602 tokens long"),
    ],
)
def test_classify_says_what_is_wrong(arguments: list[str], expected: str) -> None:
    """One sentence, no traceback."""
    done = run_labeld("classify", *arguments)

    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_and_the_default_model() -> None:
    """Both are what they say."""
    assert run_labeld("--version").stdout.startswith("labeld 0.")
    assert "labeld/sentiment-en" == DEFAULT_MODEL
