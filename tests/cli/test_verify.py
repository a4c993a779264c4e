"""`labeld models verify`: passes and fails against transformers' answers, and what was not reached never passes."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner, Result

from labeld.cli.main import cli
from labeld.cli.reference_scores import SHIPPED, read_reference_scores, tolerance
from labeld.errors import SettingsError
from tests.support.command_line import labeld
from tests.support.local_hub import LocalHub, local_hub

TEXT = "I like you. I love you"
PAIR = ("the market fell", "not very good - it was bad")

Verify = Callable[..., Result]


@pytest.fixture(scope="module")
def known(models_dir: Path) -> list[dict[str, Any]]:
    """Answers of transformers: probabilities in full, rounded logits, and a pair's raw score."""

    def logits(model: str, *text: str) -> torch.Tensor:
        loaded = AutoModelForSequenceClassification.from_pretrained(models_dir / model, dtype=torch.float32)
        with torch.no_grad():
            return loaded(**AutoTokenizer.from_pretrained(models_dir / model)(*text, return_tensors="pt")).logits[0]

    bert, pair = logits("org/bert", TEXT), logits("org/one-label", *PAIR)
    names = ("negative", "neutral", "positive")
    raw = {"function_to_apply": "none"}
    return [
        {"model": "org/bert", "text": TEXT, "scores": dict(zip(names, bert.softmax(0).tolist(), strict=True))},
        {"model": "org/bert", "text": TEXT, "scores": {"Positive": round(bert[2].item(), 3)}, **raw},
        {"model": "org/one-label", "text": PAIR[0], "pair": PAIR[1], "scores": {"LABEL_0": pair.item()}, **raw},
    ]


@pytest.fixture(scope="module")
def real_hub(models_dir: Path) -> Iterator[LocalHub]:
    """A Hub with both models."""
    with local_hub() as hub:
        for model_id in ("org/bert", "org/one-label"):
            hub.add(model_id, {path.name: path.read_bytes() for path in (models_dir / model_id).iterdir()})
        yield hub


@pytest.fixture
def closed_port() -> Iterator[str]:
    """Where nobody listens: the port is taken, but connections are refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def verify(tmp_path: Path, known: list[dict[str, Any]]) -> Verify:
    """Runs the command on these answers, by default those of transformers."""

    def run(endpoint: str, *arguments: str, answers: Any = None) -> Result:
        (tmp_path / "answers.json").write_text(json.dumps(known if answers is None else answers))
        variables = {"HF_ENDPOINT": endpoint, "LABELD_STORE_DIR": str(tmp_path / "store"), "LABELD_PRECISION": "int8"}
        command = ["models", "verify", "--answers", str(tmp_path / "answers.json"), *arguments]
        return CliRunner().invoke(cli, command, env=variables)

    return run


def outcomes(done: Result) -> list[str]:
    """Those of all scores, from JSON."""
    return [one["outcome"] for model in json.loads(done.stdout)["models"] for one in model["comparisons"]]


def test_the_right_weights_pass(verify: Verify, real_hub: LocalHub) -> None:
    """In float32 whatever the settings say; the commit that was verified is named."""
    done = verify(real_hub.url)
    commit = real_hub.repositories["org/one-label"].branches["main"]

    assert (0, 5) == (done.exit_code, done.stdout.count("PASS"))
    assert f"org/one-label: compared at revision {commit}, from the Hub.\n" in done.stdout
    assert "the market fell / not very good - it wa…" in done.stdout
    assert done.stdout.endswith("5 published scores: 5 passed, 0 failed, 0 not reached.\n")


def test_json_has_the_same_facts(verify: Verify, real_hub: LocalHub, known: list[dict[str, Any]]) -> None:
    """With the digits that were published, the tolerance that came of them, and our score in full."""
    done = verify(real_hub.url, "org/one-label", "--json")
    (model,) = (whole := json.loads(done.stdout))["models"]
    (one,) = model.pop("comparisons")
    published = known[2]["scores"]["LABEL_0"]

    assert (1, 0, 0, True) == tuple(whole[name] for name in ("passed", "failed", "not_reached", "verified"))
    commit = real_hub.repositories["org/one-label"].branches["main"]
    assert {"model": "org/one-label", "revision": commit, "source": "the Hub", "reason": None} == model
    assert ([*PAIR], "none", "LABEL_0", str(published), "PASS") == (
        [one["text"], one["pair"]],
        *(one[name] for name in ("function_to_apply", "label", "published", "outcome")),
    )
    assert one["difference"] == abs(one["ours"] - published) <= one["tolerance"] < 1e-4


def test_a_wrong_score_fails(verify: Verify, real_hub: LocalHub, known: list[dict[str, Any]]) -> None:
    """One that is off by more than its digits allow, whatever else passes."""
    bert, rounded, pair = known
    scores = bert["scores"] | {"neutral": bert["scores"]["neutral"] + 2e-5}
    off = {"Positive": rounded["scores"]["Positive"] + 0.001}
    answers = [bert | {"scores": scores}, rounded | {"scores": off}, pair]
    done = verify(real_hub.url, "--json", answers=answers)

    assert 1 == done.exit_code
    assert ["PASS", "FAIL", "PASS", "FAIL", "PASS"] == outcomes(done)
    assert not json.loads(done.stdout)["verified"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scores": {"joy": 0.5}}, None),
        ({"text": "good " * 200}, "tokens long, but the model takes at most"),
    ],
)
def test_what_the_model_does_not_answer_fails(
    verify: Verify, real_hub: LocalHub, known: list[dict[str, Any]], change: dict[str, Any], reason: str | None
) -> None:
    """A label that it does not have, a text that it does not take."""
    done = verify(real_hub.url, "--json", answers=[known[0] | change])

    assert (1, {"FAIL"}) == (done.exit_code, set(outcomes(done)))
    assert (reason or "None") in str(json.loads(done.stdout)["models"][0]["reason"])


def test_a_spoiled_checkpoint_fails(verify: Verify, models_dir: Path, known: list[dict[str, Any]]) -> None:
    """Other weights give other scores; weights that cannot be loaded give none."""
    files = {path.name: path.read_bytes() for path in (models_dir / "org/bert").iterdir()}
    other = {path.name: path.read_bytes() for path in (models_dir / "org/multi-label").iterdir()}
    weights = bytearray(files["model.safetensors"])
    weights[-4000:] = bytes(4000)
    with local_hub() as hub:
        hub.add("org/bert", files | {"model.safetensors": bytes(weights)})
        hub.add("org/one-label", other | {"model.safetensors": b"nothing"})
        done = verify(hub.url, "--json")

    assert 1 == done.exit_code
    assert "FAIL" in outcomes(done)[:4]
    assert "FAIL" == outcomes(done)[4]
    assert "model.safetensors" in json.loads(done.stdout)["models"][1]["reason"]


def test_not_reached_is_not_passed(verify: Verify, closed_port: str) -> None:
    """Without a Hub: an exit code of its own, a sentence, and no PASS anywhere."""
    done = verify(closed_port)
    as_json = verify(closed_port, "--json")

    assert (3, 3) == (done.exit_code, as_json.exit_code)
    assert "org/bert: nothing was verified. Model org/bert could not be downloaded: the Hub cannot be" in done.stdout
    assert "What was not reached was not compared: nothing is known of it.\n" in done.stdout
    assert done.stdout.endswith("5 published scores: 0 passed, 0 failed, 5 not reached.\n")
    assert "PASS" not in done.stdout
    assert ["NOT REACHED"] * 5 == outcomes(as_json)
    assert not json.loads(as_json.stdout)["verified"]


def test_one_model_of_two_is_not_enough(verify: Verify, real_hub: LocalHub, closed_port: str) -> None:
    """Models in the store are compared without a Hub, others are not reached, and a failure outweighs those."""
    verify(real_hub.url, "org/bert")
    some = verify(closed_port, "--json")
    only = verify(closed_port, "org/bert")
    wrong = {"model": "org/bert", "text": TEXT, "scores": {"neutral": 7}}
    missing = {"model": "org/none", "text": TEXT, "scores": {"neutral": 0.5}}

    assert (3, ["PASS"] * 4 + ["NOT REACHED"]) == (some.exit_code, outcomes(some))
    assert 0 == only.exit_code
    assert 1 == verify(closed_port, answers=[wrong, missing]).exit_code
    assert 3 == verify(real_hub.url, answers=[missing]).exit_code


def test_a_folder_is_named_as_such(verify: Verify, models_dir: Path, closed_port: str) -> None:
    """Nobody takes the operator's own files for the Hub's."""
    done = verify(closed_port, "--models-dir", str(models_dir))

    assert 0 == done.exit_code
    assert 2 == done.stdout.count(", from a folder.\n")


def test_folders_may_bring_their_own_answers(
    verify: Verify, tmp_path: Path, models_dir: Path, known: list[dict[str, Any]], closed_port: str
) -> None:
    """With --all those of each folder are compared too, under its id; many that pass are one line, and none is lost."""
    folder = tmp_path / "models/org/copy"
    shutil.copytree(models_dir / "org/bert", folder)
    (folder / "reference_scores.json").write_text(json.dumps(known[:1] * 7))
    arguments = ("--all", "--models-dir", str(tmp_path / "models"))
    missing = [{"model": "org/none", "text": TEXT, "scores": {"neutral": 0.5}}]
    shown = verify(closed_port, *arguments, answers=missing)
    only = verify(closed_port, "org/copy", "--json", *arguments, answers=missing)
    (folder / "reference_scores.json").write_text(json.dumps([known[0] | {"scores": {"neutral": 7}}] * 21))
    wrong = verify(closed_port, *arguments, answers=missing)
    (folder / "reference_scores.json").write_text("[]")
    broken = verify(closed_port, *arguments, answers=missing)

    assert (3, 0, 1) == (shown.exit_code, only.exit_code, wrong.exit_code)
    assert "21 of 21 scores passed; the largest difference is " in shown.stdout
    assert ["PASS"] * 21 == outcomes(only)
    assert 20 == wrong.stdout.count("FAIL")
    assert "0 of 21 scores passed" in wrong.stdout
    assert "which has no list of answers" in str(broken.exception)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([], "which has no list of answers"),
        ({"model": "org/bert"}, "which has no list of answers"),
        ([{"model": "org/bert", "text": "a", "scores": {}}], "Answer 1 of"),
        ([{"model": "org/bert", "text": "a", "scores": {"x": "0.5"}}], "Answer 1 of"),
        ([{"model": "org/bert", "text": "a", "scores": {"x": float("nan")}}], "Answer 1 of"),
        ([{"model": "org/bert", "text": "a", "scores": {"x": 1}, "function_to_apply": "tanh"}], "Answer 1 of"),
        ([7], "Answer 1 of"),
    ],
)
def test_a_file_that_verifies_nothing_is_refused(verify: Verify, closed_port: str, answers: Any, sentence: str) -> None:
    """Rather than passed."""
    refused = verify(closed_port, answers=answers)

    assert isinstance(refused.exception, SettingsError)
    assert sentence in str(refused.exception)


def test_an_id_without_known_answers_is_refused(verify: Verify, closed_port: str) -> None:
    """With the ids that have some."""
    refused = verify(closed_port, "org/other").exception

    assert "No answers of org/other are known, but of org/bert, org/one-label." == str(refused)


@pytest.mark.parametrize(
    ("published", "expected"),
    [("0.988", 5e-4 + 5e-6), ("0.7236", 5e-5 + 5e-6), ("-4.3200774", 5e-8 + 2.16e-5), ("0.9981985493795946", 5e-6)],
)
def test_the_tolerance_fits_the_digits(published: str, expected: float) -> None:
    """Half a unit of the last one, and what float32 may change."""
    assert expected == pytest.approx(tolerance(Decimal(published)), rel=1e-3)


def test_the_shipped_answers_can_be_read() -> None:
    """13 scores of four models; probabilities of all labels add up to one."""
    shipped = read_reference_scores(SHIPPED)

    assert (4, 13) == (len({one.model for one in shipped}), sum(len(one.scores) for one in shipped))
    assert [1, 1] == [round(sum(one.scores.values()), 4) for one in shipped if len(one.scores) == 3]


@pytest.mark.slow
def test_check_finds_models_of_the_store_and_of_the_hub(real_hub: LocalHub, closed_port: str, tmp_path: Path) -> None:
    """Downloaded the first time, from the store without a Hub the second; its revision is the commit."""
    variables = {"LABELD_STORE_DIR": str(tmp_path / "store")}
    found = [
        json.loads(labeld("models", "check", "org/bert", "--json", HF_ENDPOINT=endpoint, **variables).stdout)
        for endpoint in (real_hub.url, closed_port)
    ]
    missing = labeld("models", "check", "org/none", HF_ENDPOINT=real_hub.url, **variables)

    commit = real_hub.repositories["org/bert"].branches["main"]
    assert [("org/bert", commit)] * 2 == [(one["model"], one["revision"]) for one in found]
    assert (1, "labeld: Model org/none does not exist\n") == (missing.returncode, missing.stderr)
