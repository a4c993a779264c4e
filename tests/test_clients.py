"""The client packages that people use, unmodified, as processes of their own against a real server."""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import same
from tests.server_process import Server

CLIENTS = Path(__file__).parent / "clients"
CACHE = Path(__file__).parents[1] / ".cache/clients"
TEXTS = ["I like you. I love you", "the market fell", "世界 hello, world!", "not very good - it was bad", ""]
Ask = Callable[..., list[Any]]


def ask(command: list[str], questions: list[dict[str, Any]], **variables: str) -> list[Any]:
    """What a client process prints for these questions."""
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", **variables}
    lines = "\n".join(json.dumps(question) for question in questions) + "\n"
    done = subprocess.run(
        command, input=lines, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def hub(python: Path | str, knob: str, url: str, questions: list[dict[str, Any]], **variables: str) -> list[Any]:
    """Answers of a huggingface_hub of the environment of `python`."""
    return ask([str(python), str(CLIENTS / "hub_client.py"), knob, url, "{}"], questions, **variables)


def installed(folder: Path, command: list[str]) -> Path:
    """The folder, made by an installing command the first time; skips the test when it cannot be."""
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
        if done.returncode:
            pytest.skip(f"cannot install: {done.stderr[-300:]}")
        (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The interpreter of an environment with the huggingface_hub of September 2024."""
    folder = CACHE / "huggingface_hub-0.25.2"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True)
    return installed(folder, [str(folder / "bin/pip"), "install", "-q", "huggingface_hub==0.25.2"]) / "bin/python"


@pytest.fixture(scope="session", params=["4.13.30", "2.8.1"])
def node(request: pytest.FixtureRequest) -> list[str]:
    """A command that runs the JavaScript client of a release."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs node and npm")
    package = f"@huggingface/inference@{request.param}"
    folder = installed(
        CACHE / f"inference-{request.param}", ["npm", "install", "--no-package-lock", "--prefix", ".", package]
    )
    shutil.copy(CLIENTS / "inference.mjs", folder)
    return ["node", str(folder / "inference.mjs")]


def test_the_newest_hub_client(server: Server, expected: Ask) -> None:
    """By the model's URL, with and without parameters."""
    questions = [{"text": text} for text in TEXTS]
    questions += [{"text": TEXTS[0], "top_k": 2}, {"text": TEXTS[0], "function_to_apply": "sigmoid"}]
    answers = hub(sys.executable, "model", f"{server.url}/models/org/bert", questions)
    reference = expected("org/bert", TEXTS)
    reference += expected("org/bert", TEXTS[:1], top_k=2)
    reference += expected("org/bert", TEXTS[:1], function_to_apply="sigmoid")

    same(answers, reference)


def test_the_newest_hub_client_by_host_alone(server: Server, expected: Ask) -> None:
    """`base_url` without a path means the default model."""
    same(hub(sys.executable, "base_url", server.url, [{"text": TEXTS[0]}]), expected("org/bert", TEXTS[:1]))


def test_the_newest_hub_client_reads_our_errors(server: Server) -> None:
    """A wrong parameter and an unknown model arrive as the client's own exceptions, with our sentence."""
    wrong = hub(sys.executable, "model", f"{server.url}/models/org/bert", [{"text": "a", "top_k": 0}])[0]
    unknown = hub(sys.executable, "model", f"{server.url}/models/org/none", [{"text": "a"}])[0]

    assert "BadRequestError" == wrong["type"]
    assert "top_k" in wrong["text"]
    assert "Model org/none does not exist" in unknown["text"]


def test_the_newest_async_hub_client(server: Server, expected: Ask) -> None:
    """Many questions at once each get their own answer."""
    texts = TEXTS * 8
    command = [sys.executable, str(CLIENTS / "hub_async_client.py"), f"{server.url}/models/org/bert"]

    same(ask(command, [{"text": text} for text in texts]), expected("org/bert", TEXTS) * 8)


def test_the_hub_client_of_2024(server: Server, expected: Ask, old_python: Path) -> None:
    """By URL, and by the id with HF_INFERENCE_ENDPOINT pointed here, as its users did."""
    questions = [{"text": text} for text in TEXTS[:4]]
    by_url = hub(old_python, "model", f"{server.url}/models/org/bert", questions)
    by_id = hub(old_python, "model", "org/bert", questions, HF_INFERENCE_ENDPOINT=server.url)

    same(by_url, expected("org/bert", TEXTS[:4]))
    same(by_id, expected("org/bert", TEXTS[:4]))


def test_the_javascript_client(server: Server, expected: Ask, node: list[str]) -> None:
    """Texts with and without parameters; an error arrives with our sentence."""
    questions = [{"inputs": text} for text in TEXTS[:4]]
    questions += [{"inputs": TEXTS[0], "parameters": {"top_k": 1}}, {"inputs": TEXTS[0], "parameters": {"top_k": -1}}]
    *answers, error = ask([*node, f"{server.url}/models/org/bert"], questions)

    same(answers, expected("org/bert", TEXTS[:4]) + expected("org/bert", TEXTS[:1], top_k=1))
    assert "top_k" in error["text"]


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ('{"inputs": "the market fell"}', []),
        ('{"inputs": "the market fell"}', ["-H", "Content-Type: application/json"]),
        ('{"inputs": "the market fell", "options": {"wait_for_model": true}}', ["-H", "Content-Type:"]),
        ("the market fell", []),
        ("the market fell", ["-H", "Content-Type: text/plain", "-H", "Authorization: Bearer hf_abc"]),
        ('"the market fell"', ["-H", "x-wait-for-model: true", "-H", "x-use-cache: 0"]),
    ],
)
def test_curl(server: Server, expected: Ask, data: str, headers: list[str]) -> None:
    """JSON and raw text with every content type that curl sends."""
    done = subprocess.run(
        ["curl", "-sS", f"{server.url}/models/org/bert", "-d", data, *headers], capture_output=True, check=True
    )

    same(json.loads(done.stdout), expected("org/bert", ["the market fell"]))
