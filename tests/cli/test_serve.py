"""`labeld serve` and `labeld classify` as processes: broken folders, bad settings, stopping, hanging."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from safetensors.torch import load_file, save_file

from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from tests.support.command_line import labeld
from tests.support.rankings import same
from tests.support.server_process import LABELD, NO_CACHE, SMALLEST, run_labeld, serving, wait_until


def broken(models_dir: Path, root: Path, spoil: Callable[[Path], object]) -> Path:
    """A folder of models with `org/good`, and `org/broken` spoilt."""
    for name in ("good", "broken"):
        shutil.copytree(models_dir / "org/bert", root / "org" / name)
    spoil(root / "org/broken")
    return root


def cut(folder: Path) -> None:
    """Cuts the weights off in the middle."""
    os.truncate(folder / "model.safetensors", 100_000)


def remove(*names: str) -> Callable[[Path], object]:
    """Removes files."""
    return lambda folder: [(folder / name).unlink() for name in names]


def write(name: str, content: bytes) -> Callable[[Path], object]:
    """Writes a file."""
    return lambda folder: (folder / name).write_bytes(content)


def change(**keys: Any) -> Callable[[Path], object]:
    """Changes keys of config.json."""
    return lambda folder: (folder / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | keys)
    )


def reshape(folder: Path) -> None:
    """Cuts a row off one tensor; the file itself is whole."""
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.weight"][:2].clone()
    save_file(tensors, folder / "model.safetensors")


def lose(folder: Path) -> None:
    """Leaves one tensor out."""
    tensors = load_file(folder / "model.safetensors")
    del tensors["classifier.bias"]
    save_file(tensors, folder / "model.safetensors")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (remove("config.json"), "config.json is missing"),
    "config is no JSON": (write("config.json", b"{"), "config.json is not valid JSON"),
    "config is a list": (write("config.json", b"[]"), "config.json"),
    "config is binary": (write("config.json", b"\xff\x00"), "config.json"),
    "no tokenizer": (remove("tokenizer.json", "vocab.txt"), "neither tokenizer.json nor"),
    "tokenizer is no JSON": (write("tokenizer.json", b"{"), "tokenizer.json is not"),
    "vocabulary is empty": (
        lambda folder: [remove("tokenizer.json")(folder), write("vocab.txt", b"")(folder)],
        "vocab.txt",
    ),
    "no weights": (remove("model.safetensors"), "model.safetensors"),
    "weights cut off": (cut, "model.safetensors"),
    "weights are empty": (write("model.safetensors", b""), "model.safetensors"),
    "weights are text": (
        write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
        "model.safetensors",
    ),
    "one tensor misshapen": (reshape, "model.safetensors: tensor classifier.weight has shape [2, 64]"),
    "one tensor missing": (lose, "model.safetensors has no tensor classifier.bias"),
    "all tensors misshapen": (change(hidden_size=32), "has shape"),
    "other architecture": (change(architectures=["BertForMaskedLM"]), "ForSequenceClassification"),
    "unknown model_type": (change(model_type="mamba"), "model_type 'mamba'"),
    "small vocabulary": (change(vocab_size=10), "embeddings.word_embeddings.weight has shape"),
    "labels do not fit": (change(id2label={"0": "a", "1": "b"}), "classifier"),
}


@pytest.mark.parametrize(
    ("case", "command"),
    [
        *((case, "classify") for case in BROKEN),
        *((case, "serve") for case in ("no config", "no tokenizer", "weights cut off", "one tensor misshapen")),
    ],
)
def test_a_broken_folder_stops_the_start_with_one_sentence(
    models_dir: Path, tmp_path: Path, case: str, command: str
) -> None:
    """It names the model, the file and what is wrong; no traceback, no ready line, exit code 1."""
    spoil, expected = BROKEN[case]
    root = broken(models_dir, tmp_path / "models", spoil)
    if command == "serve":
        done = run_labeld("serve", "org/broken", "--models-dir", str(root))
    else:
        done = labeld("classify", "a", "--model", "org/broken", "--models-dir", str(root))

    assert (1, "") == (done.returncode, done.stdout)
    assert expected in done.stderr
    assert "org/broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert str(root) not in done.stderr


def test_the_supervisor_is_small(tmp_path: Path) -> None:
    """It loads neither numpy nor an engine, which only workers need."""
    places = {"LABELD_CACHE_DIR": str(tmp_path), "LABELD_TOKENS_DB": str(tmp_path / "t.sqlite3"), "LABELD_HUB": "off"}
    command = [LABELD, "serve", SMALLEST, "--port", "0"]
    with subprocess.Popen(command, env=os.environ | places, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
        process.terminate()

    assert [] == [name for name in ("numpy", "openvino", "tokenizers") if name in mapped]


def test_a_worker_begins_while_models_dir_is_away(models_dir: Path, tmp_path: Path) -> None:
    """The bundled models are served by the one that replaces a killed worker, and the others when it is back."""
    root, away = tmp_path / "models", tmp_path / "away"
    shutil.copytree(models_dir / "org/bert", root / "org/bert")
    with serving(tmp_path, "--models-dir", str(root)) as server:
        root.rename(away)
        os.kill(server.get("/status").json()["pid"], signal.SIGKILL)
        server.wait_ready()

        assert 200 == server.post("/models/labeld/language-20", json={"inputs": "hallo"}).status_code
        assert 404 == server.post("/models/org/bert", json={"inputs": "hallo"}).status_code
        away.rename(root)
        assert wait_until(  # the listing of the folders is a second old at most
            lambda: server.post("/models/org/bert", json={"inputs": "hallo"}).status_code == 200
        )


def test_broken_models_do_not_harm_the_others(models_dir: Path, tmp_path: Path) -> None:
    """They get a warning at start, their requests the reason, and the other models are served."""
    root = broken(models_dir, tmp_path / "models", cut)
    cases = {"org/broken": "model.safetensors"}
    for number, case in enumerate(("config is no JSON", "no tokenizer", "no weights")):
        shutil.copytree(models_dir / "org/bert", root / f"org/broken-{number}")
        spoil, cases[f"org/broken-{number}"] = BROKEN[case]
        spoil(root / f"org/broken-{number}")
    with serving(tmp_path, "org/good", "--models-dir", str(root)) as server:
        for model, expected in cases.items():
            warning = re.compile(rf"WARNING .*{model} cannot be served: .*{re.escape(expected)}")
            assert wait_until(lambda warning=warning: warning.search(server.log.read_text())), model
            for path in (f"/models/{model}", f"/models/{model}/info", f"/models/{model}/health"):
                reply = server.get(path) if path != f"/models/{model}" else server.post(path, json={"inputs": "a"})

                assert 500 == reply.status_code
                assert expected in reply.json()["error"]
                assert str(root) not in reply.text
                assert 1 == len(server.classify("a", "org/good"))
        assert "Traceback" not in server.log.read_text()
        assert "org/good cannot" not in server.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--models-dir", "/nowhere"], "models_dir is '/nowhere', which cannot be read: No such file"),
        (["org/none"], "Model org/none does not exist"),
        (["--host", "192.0.2.1", "--allow-anonymous"], "is not an address of this machine"),
        (["--port", "http"], "Invalid value for '--port'"),
        (["../bert"], "Model ../bert does not exist: name it by its id, such as org/name, and the folder of org/name"),
    ],
)
def test_what_cannot_be_served_stops_the_start_with_one_sentence(arguments: list[str], expected: str) -> None:
    """It names the setting."""
    done = run_labeld("serve", *arguments)

    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--host", "0.0.0.0"], "--allow-anonymous"),
        (["--max-inputs", "0"], "--max-inputs is 0, but must be at least 1"),
        (["--host", "192.0.2.1", "--no-allow-anonymous"], "--allow-anonymous"),
        (["--port", "99999"], "--port is 99999, but must be at most 65535"),
        (["--batch-timeout", "nan"], "--batch-timeout is nan, but must be a finite number"),
        (["--nothing"], "No such option"),
    ],
)
def test_an_impossible_setting_stops_the_start_with_one_sentence(arguments: list[str], expected: str) -> None:
    """It names the setting, before any process is started."""
    done = labeld("serve", *arguments)

    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LABELD_PORT", "http", "LABELD_PORT is 'http', but must be a whole number"),
        ("LABELD_MAX_INPUTS", "-1", "LABELD_MAX_INPUTS is '-1', but must be at least 1"),
        ("LABELD_ALLOW_ANONYMOUS", "perhaps", "LABELD_ALLOW_ANONYMOUS is 'perhaps', but must be true or false"),
        ("LABELD_HOST", "::", "--allow-anonymous"),
    ],
)
def test_an_impossible_variable_stops_the_start_too(name: str, value: str, expected: str) -> None:
    """It names the variable."""
    done = labeld("serve", **{name: value})

    assert 1 == done.returncode
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_a_variable_names_and_that_is_not_there_stops_the_start_too() -> None:
    """It is looked for as one that the command line names."""
    done = run_labeld("serve", LABELD_MODELS="org/none")

    assert 1 == done.returncode
    assert "Model org/none does not exist" in done.stderr


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    """With the way out."""
    with serving(tmp_path, SMALLEST) as server:
        done = run_labeld("serve", SMALLEST, "--port", server.url.rsplit(":", 1)[1])

    assert 1 == done.returncode
    assert "already in use" in done.stderr


@pytest.mark.parametrize("body_first", [True, False])
def test_a_request_in_flight_is_answered_after_sigterm(models_dir: Path, tmp_path: Path, body_first: bool) -> None:
    """Whether its body had arrived or not: the drain delivers the reply, and the server ends with 0."""
    # NOTE: the server says `100 Continue` when it wants the body, so it has the request in hand then
    body = json.dumps({"inputs": ["the film was not very good " * 15] * 100}).encode()
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir)) as server:
        head = b"POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(body)
        with socket.create_connection(server.address, timeout=30) as connection:
            connection.sendall(head)
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            if body_first:
                connection.sendall(body)
            server.process.send_signal(signal.SIGTERM)
            if not body_first:
                connection.sendall(body)
            reply = http.client.HTTPResponse(connection)
            reply.begin()
            rankings = json.loads(reply.read())

        assert 0 == server.process.wait(timeout=30)
    assert (200, 100) == (reply.status, len(rankings))


def test_a_load_balancer_has_time_to_turn_away(tmp_path: Path) -> None:
    """With --drain-delay /ready is 503 from SIGTERM on, and new connections are served until the delay is over."""
    with serving(tmp_path, SMALLEST, "--drain-delay", "1") as server:
        server.process.send_signal(signal.SIGTERM)

        assert wait_until(lambda: requests.get(f"{server.url}/ready", timeout=5).status_code == 503, 1)
        assert requests.post(server.url, json={"inputs": "good"}, timeout=5).status_code == 200
        assert server.process.wait(timeout=10) == 0


def test_a_hung_engine_is_replaced(tmp_path: Path) -> None:
    """A batch that runs for longer than batch_timeout: its caller is asked to retry, and a new process answers."""
    texts = ["good " * 400] * 200  # one batch of 80,000 tokens, whose mask alone takes longer than the timeout
    with serving(tmp_path, "--batch-timeout", "0.3", "--batch-tokens", "8000", *NO_CACHE) as server:
        reply = server.post("/", json={"inputs": texts})
        assert 503 == reply.status_code
        assert reply.headers["retry-after"]
        server.wait_ready()

        assert 200 == server.post("/", json={"inputs": "good"}).status_code
        assert "batch_timeout" in server.log.read_text()


def test_a_tokenizer_that_hangs_is_replaced(tmp_path: Path) -> None:
    """A pattern that takes minutes on a text, but at no place of it long enough to be stopped, holds a thread."""
    folder = tmp_path / "models/org/slow"
    shutil.copytree(BUNDLED / SMALLEST, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    split = {"pattern": {"Regex": "a+a+b"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Split", **split}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with serving(tmp_path, "--batch-timeout", "1", "--models-dir", str(tmp_path / "models"), *NO_CACHE) as server:
        assert 200 == server.post("/models/org/slow", json={"inputs": "good"}).status_code
        reply = server.post("/models/org/slow", json={"inputs": "a" * 4000 + "cb"})
        assert 503 == reply.status_code
        server.wait_ready()

        assert 200 == server.post("/", json={"inputs": "good"}).status_code
        assert "tokenised" in server.log.read_text()


def test_classify_answers_as_the_server(models_dir: Path, expected: Callable[..., list[Any]]) -> None:
    """One line of JSON per argument, in order, with any text and with the parameters of a request."""
    texts = ["I like you. I love you", "日本語 é ñ 👎🏽", "", "the market fell"]
    flags = ["--model", "org/bert", "--models-dir", str(models_dir)]
    plain = run_labeld("classify", *texts, "--json", *flags)
    chosen = run_labeld("classify", *texts, "--top-k", "2", "--function", "Sigmoid", *flags)

    assert (0, 0) == (plain.returncode, chosen.returncode), plain.stderr + chosen.stderr
    same([json.loads(line) for line in plain.stdout.splitlines()], expected("org/bert", texts))
    same(
        [json.loads(line) for line in chosen.stdout.splitlines()],
        expected("org/bert", texts, top_k=2, function_to_apply="sigmoid"),
    )


def test_classify_prints_json_lines_when_piped() -> None:
    """One ranking per text, in order; parameters as over HTTP."""
    done = run_labeld("classify", "I love it", "I hate it", "--top-k", "1", "--function", "none")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert ["POSITIVE", "NEGATIVE"] == [line[0]["label"] for line in lines]
    assert [1, 1] == [len(line) for line in lines]


def test_classify_reads_more_lines_than_one_request_takes(models_dir: Path) -> None:
    """However many there are, with Windows' line ends too; no line is no output."""
    flags = ["--model", "org/one-label", "--models-dir", str(models_dir)]
    many = run_labeld("classify", *flags, stdin="".join(f"day {number}\r\n" for number in range(300)))
    none = run_labeld("classify", *flags, stdin="")

    assert 300 == len(many.stdout.splitlines())
    assert (0, "") == (none.returncode, none.stdout)


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
        (["a", "--models-dir", "/nowhere"], "models_dir is '/nowhere', which cannot be read: No such file"),
        (["a", "--threads", "-1"], "--threads is -1, but must be at least 0"),
    ],
)
def test_classify_says_what_is_wrong(arguments: list[str], expected: str) -> None:
    """One sentence, no traceback."""
    done = labeld("classify", *arguments)

    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_and_the_default_model() -> None:
    """Both are what they say, by the command as by the module."""
    for command in ([LABELD], [sys.executable, "-m", "labeld"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)

        assert f"labeld {version('labeld')}\n" == done.stdout
    assert "labeld/sentiment-en" == DEFAULT_MODEL
