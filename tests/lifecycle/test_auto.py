"""Precision `auto`: one trial per revision, machine, texts and tolerances; its choice is used, logged and cached."""

import json
import logging
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labeld.autotune.accuracy import AccuracyLoss, Diversity
from labeld.autotune.results import ChoiceFile
from labeld.autotune.texts import MIN_TEXTS
from labeld.autotune.trial import Measured, PrecisionChoice
from labeld.config.precision import parse_precisions
from labeld.config.settings import Precisions
from labeld.errors import UnavailableError
from labeld.lifecycle.model import LoadOptions, Model, load_model
from labeld.types import Text
from tests.support.command_line import labeld
from tests.support.server_process import LABELD, run_labeld, serving, wait_until

TEXTS = tuple(Text(f"the film was {word} {count}") for word in ("good", "bad") for count in range(MIN_TEXTS))
TRIES = "trying its precisions"


@pytest.fixture
def load(models_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., tuple[Model, str]]:
    """Loads a small model with precision auto; gives it and what was logged."""

    def loaded(name: str = "org/bert", **options: Any) -> tuple[Model, str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            model = load_model(
                name,
                models_dir / name,
                LoadOptions(
                    1,
                    1,
                    1000,
                    4096,
                    tmp_path,
                    parse_precisions("auto"),
                    **{"evaluation_texts": TEXTS, **options},
                ),
            )
        return model, caplog.text

    return loaded


def choices(tmp_path: Path) -> list[Path]:
    """The files of cached choices."""
    return sorted(tmp_path.glob("precision-choices/*"))


def test_a_verdict_is_reached_once_and_remembered(load: Callable[..., tuple[Model, str]], tmp_path: Path) -> None:
    """The second load runs no trial, uses the same precision, and says so again."""
    first, log = load()
    (file,) = choices(tmp_path)
    content, written = file.read_bytes(), file.stat().st_mtime_ns
    second, second_log = load()

    assert TRIES in log
    assert TRIES not in second_log
    assert f"org/bert answers in {first.engine.precision} by a trial on {len(TEXTS)} texts" in second_log
    assert (first.engine.precision, first.choice) == (second.engine.precision, second.choice)
    assert (content, written) == (file.read_bytes(), file.stat().st_mtime_ns)


@pytest.mark.parametrize(
    "change", [{"evaluation_texts": TEXTS[1:]}, {"tolerances": Precisions(precision_agreement=0.5)}]
)
def test_another_probe_or_tolerance_needs_another_verdict(
    load: Callable[..., tuple[Model, str]], tmp_path: Path, change: dict[str, Any]
) -> None:
    """The old one is kept for who goes back."""
    load()
    _, log = load(**change)

    assert TRIES in log
    assert 2 == len(choices(tmp_path))


def test_a_broken_verdict_is_ignored_and_replaced(load: Callable[..., tuple[Model, str]], tmp_path: Path) -> None:
    """A file that was cut off costs a trial."""
    load()
    (file,) = choices(tmp_path)
    file.write_bytes(file.read_bytes()[:100])
    _, log = load()

    assert TRIES in log
    assert [file] == choices(tmp_path)
    assert json.loads(file.read_bytes())["choice"]["texts"] == len(TEXTS)


@pytest.mark.parametrize(
    ("part", "spoilt"),
    [
        ('"texts": 150', '"texts": 150, "more": 1'),
        ('"precision": "int8", "texts"', '"precision": "int4", "texts"'),
        ('"float32"', '"float16"'),
        ('"spread": 0.5', '"spread": "much"'),
        ('"refused": {"bfloat16": "no"}', '"refused": []'),
        ('"refused": {"bfloat16": "no"}', '"refused": {"bfloat16": 1}'),
        ('"agreement": 1.0, ', ""),
        ('"evaluation_texts": "a"', '"evaluation_texts": "b"'),
        ('{"choice"', '[{"choice"'),
    ],
)
def test_a_verdict_that_makes_no_sense_is_none(tmp_path: Path, part: str, spoilt: str) -> None:
    """Whatever is wrong with its file."""
    memory = ChoiceFile(tmp_path, "0" * 40, "a", Precisions())
    measured = (
        Measured("float32", 1.0, 1.0, 1, AccuracyLoss(1.0, 0.0, 0.0)),
        Measured("int8", 2.0, 1.0, 1, AccuracyLoss(1.0, 0.0, 0.0)),
    )
    choice = PrecisionChoice("int8", 150, Diversity(0.5, 0.5), measured, {"bfloat16": "no"})
    memory.write(choice)
    (file,) = choices(tmp_path)
    before = memory.read()
    content = file.read_text()
    file.write_text(content.replace(part, spoilt))

    assert choice == before
    assert part in content
    assert memory.read() is None


def test_no_change_allowed_means_float32(load: Callable[..., tuple[Model, str]]) -> None:
    """Whatever the speed."""
    model, log = load(
        tolerances=Precisions(precision_agreement=1.0, precision_mean_change=0.0, precision_p99_change=0.0)
    )

    assert "float32" == model.engine.precision
    assert "org/bert answers in float32" in log


def test_texts_that_say_nothing_leave_float32_and_are_called_so(load: Callable[..., tuple[Model, str]]) -> None:
    """One text over and over agrees with itself in every precision."""
    model, log = load(evaluation_texts=(Text("the film was good"),) * MIN_TEXTS)

    assert "float32" == model.engine.precision
    assert "100% of them with the same answer); their answers are not varied enough to judge by" in log


def test_a_process_that_stops_ends_the_trial(load: Callable[..., tuple[Model, str]], tmp_path: Path) -> None:
    """Nothing of it is cached."""
    stopping = threading.Event()
    stopping.set()

    with pytest.raises(UnavailableError, match="stopping"):
        load(stopping=stopping)
    assert [] == choices(tmp_path)


@pytest.mark.parametrize("name", ["org/one-label", "org/multi-label"])
def test_every_kind_of_model_is_tried_on_the_shipped_texts(load: Callable[..., tuple[Model, str]], name: str) -> None:
    """Pairs for one label; sides of 0.5 for several."""
    choice = load(name, evaluation_texts=None)[0].choice

    assert choice is not None
    assert choice.texts >= 300
    assert "float32" == choice.measured[0].precision
    assert all(one.tokens_per_second > 0 for one in choice.measured)
    assert (name == "org/one-label") is (choice.diversity.most_frequent is None)


def test_a_server_says_which_precision_answers(models_dir: Path, tmp_path: Path) -> None:
    """In its log and in /info, for each model by its own part of the setting."""
    setting = "bare=float32,auto"
    patient = ("--load-grace", "60")  # a trial takes a while, and /info waits no longer than that
    with serving(tmp_path, "bare", "--models-dir", str(models_dir), "--precision", setting, *patient) as server:
        exact, tried = (server.get(f"/models/{name}/info").json() for name in ("bare", "org/bert"))
        log = server.log.read_text()

    assert ("float32", None) == (exact["model_dtype"], exact["precision_trial"])
    assert tried["model_dtype"] == tried["precision_trial"]["precision"]
    assert f"org/bert answers in {tried['model_dtype']}" in log
    assert "bare answers in" not in log


def test_a_server_that_is_told_to_stop_during_the_trial_stops(models_dir: Path, tmp_path: Path) -> None:
    """At once and in order, also at its start; the trial of that many texts leaves no choice."""
    texts = tmp_path / "texts"
    texts.write_text("".join(f"the film was good {number}\n" for number in range(12_000)))
    command = [LABELD, "serve", "org/bert", "--port", "0", "--models-dir", str(models_dir), "--precision", "auto"]
    log = tmp_path / "log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [*command, "--evaluation-texts", str(texts), "--cache-dir", str(tmp_path)], stderr=stderr
        ) as process,
    ):
        assert wait_until(lambda: TRIES in log.read_text(), 60), log.read_text()
        process.terminate()
        code = process.wait(60)

    assert (0, []) == (code, choices(tmp_path)), log.read_text()
    assert "Traceback" not in log.read_text()


def test_an_impossible_precision_stops_the_start() -> None:
    """In one sentence, before anything is loaded."""
    done = run_labeld("serve", LABELD_PRECISION="auto,org/name=int4")

    assert done.returncode != 0
    assert "precision has 'org/name=int4', but each part must be one of float32, bfloat16, int8, auto" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_precision_for_a_model_that_is_not_there_is_a_warning(models_dir: Path) -> None:
    """At the start, one for each, with what helps; a model that is there is no news."""
    known, others = "org/bert=float32", "org/nothing=int8,sentiment-en=int8,a/b/c=int8"
    variables = {"LABELD_PRECISION": f"{known},{others}", "LABELD_MODELS_DIR": str(models_dir)}
    warned = run_labeld("classify", "a", LABELD_HUB="any", **variables).stderr
    alone = run_labeld("classify", "a", LABELD_HUB="any", **variables | {"LABELD_PRECISION": known}).stderr

    for part in (
        "precision names org/nothing, which is not here yet: it counts once it is downloaded",
        "precision names sentiment-en, which counts for no model: its id is labeld/sentiment-en",
        "precision names a/b/c, which counts for no model: Model a/b/c does not exist",
    ):
        assert part in warned
    assert 3 == warned.count("precision names")
    assert "precision" not in alone


def test_models_check_tells_all_as_json_and_remembers_it(models_dir: Path, tmp_path: Path) -> None:
    """Of a bundled model by its id; what it found is what a server then uses without a trial."""
    # in a process of its own, whose memory grows with each precision
    done = run_labeld("models", "check", "labeld/language-20", "--json", LABELD_CACHE_DIR=str(tmp_path))
    found = json.loads(done.stdout)
    later = run_labeld(
        "classify",
        "--model",
        "labeld/language-20",
        "Guten Tag",
        LABELD_CACHE_DIR=str(tmp_path),
        LABELD_PRECISION="auto",
    )

    assert ("BertForSequenceClassification", 20, 512) == (
        found["architecture"],
        len(found["labels"]),
        found["max_input_length"],
    )
    float32, *faster = found["precisions"]
    assert (1.0, 0.0, 0.0) == tuple(float32["loss"].values())
    assert {"float32", "bfloat16", "int8"} == {one["precision"] for one in found["precisions"]} | set(found["refused"])
    assert all(0.9 < one["loss"]["agreement"] <= 1 and one["loss"]["mean_change"] > 0 for one in faster)
    assert all(one["memory_bytes"] > 1e6 and one["load_seconds"] > 0 for one in found["precisions"])
    assert found["evaluation_texts"]["varied_enough"]
    assert f"labeld/language-20 answers in {found['auto']}" in later.stderr
    assert TRIES not in later.stderr


def test_models_check_shows_a_folder_as_tables(models_dir: Path) -> None:
    """Every precision has a row; the progress bar is no part of the output."""
    done = labeld("models", "check", str(models_dir / "org/multi-label"))

    assert 0 == done.returncode, done.stderr
    for word in (
        "BertForSequenceClassification (bert)",
        "3: negative, neutral, positive",
        "sigmoid",
        "float32",
        "auto",
    ):
        assert word in done.stdout, word


def test_models_check_refuses_what_is_no_model(tmp_path: Path) -> None:
    """In one sentence."""
    done = labeld("models", "check", str(tmp_path / "nothing"))

    assert 1 == done.returncode
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def labelled(tmp_path: Path) -> Path:
    """Evaluation texts for the bundled sentiment model, of which the last quarter has the wrong label."""
    words = (("a wonderful film", "positive"), ("a terrible film", "NEGATIVE"), ("what a mess", "0"), ("dull", "1"))
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": f"{text} {count}", "label": label} for text, label in words for count in range(MIN_TEXTS // 4)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_labelled_texts_judge_precisions_by_what_is_right(models_dir: Path, tmp_path: Path) -> None:
    """`models check` has the figures of each precision, at the thresholds of an alias too, each a trial of its own."""
    path, config = labelled(tmp_path), tmp_path / "labeld.yaml"
    config.write_text("models: {strict: {model: labeld/sentiment-en, thresholds: {POSITIVE: 0.9999}}}")
    arguments = ("models", "check", "labeld/sentiment-en", "--json", "--evaluation-texts", str(path))
    found = json.loads(labeld(*arguments).stdout)
    strict = json.loads(labeld(*arguments, "--config", str(config)).stdout)
    shown = labeld(*(one for one in arguments if one != "--json")).stdout

    float32, *faster = found["by_labels"]
    assert ("float32", 0.75) == (float32["precision"], float32["accuracy"]["value"])
    assert float32["accuracy"]["low"] < 0.75 < float32["accuracy"]["high"]
    assert [0.75] * len(found["precisions"]) == [one["right"] for one in found["precisions"]]
    assert len(faster) == len(found["precisions"]) - 1  # where the processor has no others, there are none
    assert all(one["change"]["p_value"] == 1 for one in faster)
    # no score reaches 0.9999: right are the texts that are not positive
    assert [0.5] * len(found["precisions"]) == [one["right"] for one in strict["precisions"]]
    assert "By the labels of the texts" in shown


def test_labels_of_another_model_judge_nothing(models_dir: Path, tmp_path: Path) -> None:
    """The trial is then that of texts without labels, and says so."""
    path = labelled(tmp_path)
    path.write_text(path.read_text().replace("positive", "joy"))

    done = labeld("models", "check", str(models_dir / "org/bert"), "--evaluation-texts", str(path))

    assert 0 == done.returncode, done.stderr
    assert "Not judged by the labels of the texts: it has no label 'joy'." in done.stdout
    assert "By the labels" not in done.stdout
