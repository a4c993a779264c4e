"""`labeld distill` on real models: a folder that serves, a run that goes on, and one sentence for whatever is wrong."""

import csv
import json
import os
import random
import shutil
import signal
import sys
import time
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from labeld import Classifier
from labeld.repository.folders import BUNDLED
from tests.support.command_line import labeld
from tests.support.labeld_forks import TRAINING, start
from tests.support.tiny_models import WORDS

pytestmark = pytest.mark.slow


def sentences(count: int) -> list[str]:
    """Different texts of the words that the small models know."""
    rng = random.Random(5)
    return list(dict.fromkeys(" ".join(rng.choices(WORDS, k=rng.randint(2, 9))) for _ in range(count)))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A csv file of single texts and of second texts."""
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    rows = sentences(500)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "other"), *zip(rows, reversed(rows), strict=True)])
    return path


def distilled(models_dir: Path, texts: Path, output: Path, *flags: str, teacher: str = "org/bert") -> dict[str, Any]:
    """The JSON that a run prints which goes well."""
    done = labeld(
        "distill", teacher, "--input", str(texts), "--output", str(output), "--models-dir", str(models_dir), "--json",
        "--layers", "1", "--threads", "1", "--held-out", "0.2", *flags,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def command_of(models_dir: Path, texts: str, output: Path, *flags: str) -> list[str]:
    """The arguments of a run that takes a while."""
    return [
        *("distill", "org/bert", "--input", texts, "--json", "--output", str(output), "--models-dir", str(models_dir)),
        *("--layers", "1", "--threads", "1", "--held-out", "0.2", *flags),
    ]


def broken_off(
    command: list[str], tmp_path: Path, how: signal.Signals, standard_input: Path | None = None
) -> tuple[int, str]:
    """The exit code of a run that gets this signal once its output has a checkpoint, and what it says."""
    environment = os.environ | {"LABELD_CACHE_DIR": str(tmp_path / "cache"), "LABELD_HUB": "off"}
    with (standard_input or Path(os.devnull)).open() as texts, (tmp_path / "stderr").open("w+") as stderr:
        run = start(command, environment, Path.cwd(), stderr.fileno(), stdin=texts.fileno(), more=TRAINING)
        checkpoint = tmp_path / "broken.unfinished/checkpoint.pt"
        while run.poll() is None and not checkpoint.exists():
            time.sleep(0.01)
        run.send_signal(how)
        run.stdout.close()
        code = run.wait()
        stderr.seek(0)
        return code, stderr.read()


def most_usual(models_dir: Path, teacher: str, rows: list[str]) -> float:
    """The share of the label that the teacher gives most."""
    with Classifier(teacher, models_dir=models_dir, threads=1) as classifier:
        best = [ranking[0].label for ranking in classifier(rows)]
    return max(best.count(one) for one in best) / len(best)


def test_a_student_answers_as_its_teacher_does(models_dir: Path, texts: Path, tmp_path: Path) -> None:
    """It learns what no constant answer has, and transformers computes what labeld serves."""
    result = distilled(models_dir, texts, tmp_path / "org/student", "--epochs", "12", "--learning-rate", "3e-3")

    assert result["agreement"] > most_usual(models_dir, "org/bert", sentences(500)) + 0.1
    assert [1, 2] == result["layers"]
    assert result["parameters"][0] < result["parameters"][1]
    assert result["taught"] + result["held_out"] == len(sentences(500))
    folder = tmp_path / "org/student"
    assert f"{result['agreement']:.4f}" in (folder / "README.md").read_text()
    assert ["student"] == [one.name for one in folder.parent.iterdir()]
    reference = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with Classifier("org/student", models_dir=tmp_path, threads=1) as classifier, torch.no_grad():
        for text in sentences(20):
            expected = reference(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
            found = dict(classifier(text))
            for index, label in reference.config.id2label.items():
                assert abs(found[label] - float(expected[index])) < 1e-5


@pytest.mark.parametrize(
    ("teacher", "flag", "what"),
    [
        ("org/multi-label", "--max-length=64", "labels on the same side"),
        ("org/one-label", "--batch-size=32", "variance of the teacher's"),
        ("org/distilbert", "--intermediate-size=32", "same best label"),
        ("org/bert", "--pair-column=other", "same best label"),
    ],
)
def test_every_kind_of_model_can_teach(  # noqa: PLR0917  # fixtures and parameters
    models_dir: Path, texts: Path, tmp_path: Path, teacher: str, flag: str, what: str
) -> None:
    """Several labels, one label, another family, pairs: each is learned, and says what its agreement is of."""
    flags = ("--epochs", "8", "--learning-rate", "3e-3", flag)
    result = distilled(models_dir, texts, tmp_path / "student", *flags, teacher=teacher)

    assert what in result["agreement_of"]
    assert result["agreement"] > 0.3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_goes_on_where_it_was_broken_off(
    models_dir: Path, texts: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """After Ctrl-C, and after a kill, --resume makes the same weights as a run that nobody broke off."""
    flags = ("--epochs", "10", "--batch-size", "16")
    distilled(models_dir, texts, tmp_path / "whole", *flags)
    command = command_of(models_dir, str(texts), tmp_path / "broken", *flags)
    returncode, said = broken_off(command, tmp_path, how)

    assert returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), said
    assert how == signal.SIGKILL or "go on with --resume" in said
    again = labeld(*command)
    assert "go on with --resume" in again.stderr
    other = labeld(*command, "--resume", "--seed", "2")
    assert "begun with other options" in other.stderr
    (tmp_path / "broken.unfinished/model").mkdir()  # as a kill leaves it while the folder is written
    (tmp_path / "broken.unfinished/model/config.json").write_text("{")
    distilled(models_dir, texts, tmp_path / "broken", *flags, "--resume")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "is complete" in labeld(*command, "--resume").stderr


def test_a_run_of_standard_input_goes_on_with_the_same_texts_only(
    models_dir: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What standard input had is told by its texts: fewer, or others in the same number, are refused."""
    command = command_of(models_dir, "-", tmp_path / "broken", "--format", "csv", "--epochs", "10")
    broken_off(command, tmp_path, signal.SIGKILL, texts)
    lines = texts.read_text().splitlines(keepends=True)
    for others in (lines[:-9], [*lines[:-1], "another text,other\n"], [lines[0], *reversed(lines[1:])]):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO("".join(others).encode())))
        assert "begun with other input" in labeld(*command, "--resume").stderr

    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(texts.read_bytes())))
    assert 0 == labeld(*command, "--resume").returncode


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--column", "nothing"), "has no column 'nothing'"),
        (("--layers", "3"), "--layers is 3, but the model has 2"),
        (("--pair-column", "text"), "must be two columns"),
        (("--input", "missing.csv"), "missing.csv"),
        (("--held-out", "0"), "--held-out is 0"),
        (("--resume", "--overwrite"), "Take either"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    models_dir: Path, texts: Path, tmp_path: Path, flags: tuple[str, ...], sentence: str
) -> None:
    """Nothing is left of a run that could not begin."""
    done = labeld("distill", "org/bert", "--input", str(texts), "--output", str(tmp_path / "out"), "--layers", "1",
                  "--models-dir", str(models_dir), *flags)  # fmt: skip

    assert 1 == done.returncode
    assert sentence in done.stderr
    assert 1 == len(done.stderr.splitlines())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_stays_as_it_is(models_dir: Path, texts: Path, tmp_path: Path) -> None:
    """Only --overwrite replaces it, once the new one is whole, and only what this command has made."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    command = ("distill", "org/bert", "--input", str(texts), "--output", str(tmp_path / "out"), "--layers", "1",
               "--models-dir", str(models_dir), "--epochs", "1")  # fmt: skip

    assert "exists: name another folder" in labeld(*command).stderr
    assert "mine" == (tmp_path / "out/mine.txt").read_text()
    assert "mine.txt is nothing that labeld distill has made" in labeld(*command, "--overwrite").stderr
    assert "mine" == (tmp_path / "out/mine.txt").read_text()
    (tmp_path / "out/mine.txt").rename(tmp_path / "out/README.md")
    assert 0 == labeld(*command, "--overwrite").returncode
    assert "mine" not in (tmp_path / "out/README.md").read_text()
    assert (tmp_path / "out/model.safetensors").exists()


def test_what_is_no_folder_for_a_student_is_refused(models_dir: Path, texts: Path, tmp_path: Path) -> None:
    """Neither a path without a name, nor the teacher's own folder, of which nothing is lost."""
    teacher = tmp_path / "models/org/bert"
    shutil.copytree(models_dir / "org/bert", teacher)
    before = {path: path.read_bytes() for path in teacher.iterdir()}
    command = ("distill", "org/bert", "--input", str(texts), "--models-dir", str(tmp_path / "models"), "--overwrite",
               "--layers", "1", "--output")  # fmt: skip

    for output in ("", "./", "/", str(tmp_path / "..")):
        assert "has no name of its own" in labeld(*command, output).stderr
    assert "has org/bert, which teaches" in labeld(*command, str(teacher)).stderr
    assert before == {path: path.read_bytes() for path in teacher.iterdir()}


def test_too_few_texts_are_refused(models_dir: Path, tmp_path: Path) -> None:
    """The sentence says how many there are, and repeated ones count once."""
    path = tmp_path / "few.jsonl"
    path.write_text('{"text": "a good film"}\n' * 500)

    done = labeld("distill", "org/bert", "--input", str(path), "--output", str(tmp_path / "out"), "--models-dir",
                  str(models_dir))  # fmt: skip

    assert "1 different texts" in done.stderr
    assert not (tmp_path / "out.unfinished").exists()


def test_the_longest_texts_of_a_model_with_offset_positions_are_learned(tmp_path: Path) -> None:
    """RoBERTa's positions begin behind the padding's: texts as long as it reads teach, however long is asked for."""
    folder = tmp_path / "models/org/roberta"
    shutil.copytree(BUNDLED / "labeld/sentiment-en", folder, ignore=shutil.ignore_patterns("*.safetensors", "*.md"))
    torch.manual_seed(1)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(vocab_size=30522, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, **shape)
    RobertaForSequenceClassification(config).save_pretrained(folder)
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps({"text": f"{one} good film " * 40}) + "\n" for one in range(150)))

    result = distilled(
        tmp_path / "models", path, tmp_path / "out", "--epochs", "1", "--max-length", "512", teacher="org/roberta"
    )

    assert 150 == result["taught"] + result["held_out"]
