"""`labeld evaluate` on real models: its figures are scikit-learn's, and whatever is wrong is one sentence."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.support.command_line import labeld
from tests.support.paths import PACKAGE, SHARED
from tests.support.processor import needs_int8
from tests.support.server_process import LABELD

pytestmark = pytest.mark.slow

BUNDLED = "labeld/sentiment-en"
REVIEWS = [
    ("a wonderful film with great actors", "POSITIVE"),
    ("I hate every minute of it", "NEGATIVE"),
    ("dull , slow and far too long", "negative"),
    ("the best film of this year", "1"),
    ("what a waste of time", "0"),
    ("it made me laugh and cry , I loved it", "Positive"),
    ("a bad joke", "POSITIVE"),
    ("charming and clever", "POSITIVE"),
    ("a mess", "NEGATIVE"),
    ("I was bored", "NEGATIVE"),
]
MOODS = [
    ("I like you. I love you", ["positive"]),
    ("the market fell", ["negative", "neutral"]),
    ("not very good - it was bad", []),
    ("a good film", ["positive", "neutral"]),
    ("hello world", ["neutral"]),
    ("x y z", ["negative"]),
    ("the day was not good", ["negative", "positive"]),
]
DRAWS = ("--resamples", "50")


def table(path: Path, rows: Sequence[Sequence[Any]], columns: Sequence[str] = ("text", "label")) -> str:
    """A csv file of these rows; its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
    return str(path)


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    """Labelled texts for the bundled model."""
    return table(tmp_path / "reviews.csv", REVIEWS)


def evaluated(*arguments: str, code: int = 0, **variables: str) -> dict[str, Any]:
    """What `labeld evaluate --json` finds."""
    done = labeld("evaluate", *arguments, "--json", *DRAWS, **variables)
    assert code == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(*arguments: str, **variables: str) -> str:
    """The sentence with which the command ends, and its exit code 1."""
    done = labeld("evaluate", *arguments, *DRAWS, **variables)
    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == len(done.stderr.splitlines()), done.stderr
    return done.stderr.strip()


def probabilities(folder: Path, texts: Sequence[str], function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Scores of transformers, [texts, labels]."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # little padding
    logits = torch.empty(len(texts), model.config.num_labels)
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            rows = order[start : start + 32]
            logits[rows] = model(**tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt")).logits
    return function(logits).numpy()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the data sets beside this repository")
def test_the_bundled_model_has_its_figure_on_sst_2(tmp_path: Path) -> None:
    """The card's accuracy; and on a fifth of it every metric is scikit-learn's, of transformers' scores."""
    path = SHARED / "sst2" / "dev.tsv"
    whole = evaluated(BUNDLED, "--input", str(path), "--column", "sentence")
    assert (872, 0.9128) == (whole["texts"], round(whole["result"]["accuracy"]["value"], 4))

    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1::5]]
    scores = probabilities(PACKAGE / "bundled" / BUNDLED, [text for text, _ in rows], lambda one: one.softmax(-1))
    truth, given = np.array([int(label) for _, label in rows]), scores.argmax(1)

    result = evaluated(BUNDLED, "--input", table(tmp_path / "fifth.csv", rows))["result"]

    assert result["accuracy"]["value"] == metrics.accuracy_score(truth, given) < 1
    assert result["accuracy"]["low"] < result["accuracy"]["value"] < result["accuracy"]["high"]
    for name, score in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert result["macro"][name]["value"] == pytest.approx(score(truth, given, average="macro"))
        each = [one["metrics"][name]["value"] for one in result["labels"]]
        assert each == pytest.approx(score(truth, given, average=None))
    assert result["macro"]["auroc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, scores[:, 1]), abs=1e-5)
    for index, one in enumerate(result["labels"]):
        area = metrics.average_precision_score(truth == index, scores[:, index])
        assert one["metrics"]["average_precision"]["value"] == pytest.approx(area, abs=1e-5)
    assert result["confusion"] == metrics.confusion_matrix(truth, given).tolist()


def test_labels_may_be_names_in_any_case_or_ids(reviews: str) -> None:
    """One text of ten is labelled wrongly: the report has it as the surest mistake, with its line."""
    found = evaluated(BUNDLED, "-i", reviews)

    assert (10, 0.9) == (found["texts"], found["result"]["accuracy"]["value"])
    (mistake,) = found["mistakes"]
    assert (8, ["POSITIVE"], ["NEGATIVE"]) == (mistake["line"], mistake["truth"], mistake["given"])
    assert [[5, 0], [1, 4]] == found["result"]["confusion"]


def test_several_files_are_one_set_of_texts(tmp_path: Path, reviews: str) -> None:
    """Of different formats, named behind the model as a shell does with a pattern."""
    lines = [json.dumps({"text": text, "label": label.lower(), "more": 1}) for text, label in REVIEWS]
    (tmp_path / "more.jsonl").write_text("\n".join(lines))

    found = evaluated(BUNDLED, reviews, "-i", str(tmp_path / "more.jsonl"))

    assert ([str(tmp_path / "more.jsonl"), reviews], 20) == (found["files"], found["texts"])


def test_an_alias_is_measured_as_the_server_has_it(tmp_path: Path) -> None:
    """Its windows read all of a long text, labels have its names, and scores its temperature."""
    config = tmp_path / "labeld.yaml"
    config.write_text(
        "models: {long: {model: labeld/sentiment-en, temperature: 2, rename: {NEGATIVE: bad}, thresholds: 0.99, "
        "windows: {stride: 4, aggregate: mean, max_length: 16}}}"
    )
    text = "I love this film. " * 3 + "It was dull. " * 20
    path = table(tmp_path / "x.csv", [(text, "POSITIVE"), ("bad", "bad")])
    unlimited = config.read_text().replace("thresholds: 0.99, ", "")
    (tmp_path / "all.yaml").write_text(unlimited)

    found = evaluated("long", "-i", path, LABELD_CONFIG=str(config))
    answer = labeld("classify", "--model", "long", "--config", str(tmp_path / "all.yaml"), text)

    (mistake,) = found["mistakes"]
    best = json.loads(answer.stdout)[0]
    assert ("bad", "bad") == (mistake["label"], best["label"])
    assert mistake["score"] == pytest.approx(best["score"], abs=1e-6)


def test_the_text_report_has_the_figures_and_no_colours(reviews: str) -> None:
    """As it is piped; every metric has its interval."""
    done = labeld("evaluate", BUNDLED, "-i", reviews, *DRAWS)

    assert 0 == done.returncode, done.stderr
    assert "Evaluation of labeld/sentiment-en" in done.stdout
    for name in ("accuracy", "macro F1", "macro AUROC", "calibration error (ECE)", "NEGATIVE", "has \\ gets"):
        assert name in done.stdout, name
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("kind", ["lists", "separated"])
def test_a_multi_label_model_takes_lists_of_labels(models_dir: Path, tmp_path: Path, kind: str) -> None:
    """From JSON, or from strings with a separator; the figures are scikit-learn's, of transformers' scores."""
    if kind == "lists":
        path = str(tmp_path / "moods.jsonl")
        Path(path).write_text("\n".join(json.dumps({"text": text, "label": labels}) for text, labels in MOODS))
    else:
        path = table(tmp_path / "moods.csv", [(text, " | ".join(labels)) for text, labels in MOODS])
    names = ("negative", "neutral", "positive")
    scores = probabilities(models_dir / "org/multi-label", [text for text, _ in MOODS], torch.sigmoid)
    truth = np.array([[name in labels for name in names] for _, labels in MOODS])
    given = scores >= 0.5

    found = evaluated("org/multi-label", "-i", path, "--label-separator", "|", "--models-dir", str(models_dir))

    result = found["result"]
    assert (True, len(MOODS)) == (result["multi_label"], found["texts"])
    assert result["accuracy"]["value"] == metrics.accuracy_score(truth, given)
    for average in ("macro", "micro"):
        expected = metrics.f1_score(truth, given, average=average, zero_division=0)
        assert result[average]["f1"]["value"] == pytest.approx(expected)
    assert result["macro"]["auroc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert result["confusion"] == metrics.multilabel_confusion_matrix(truth, given).reshape(3, 4).tolist()


def test_rows_that_cannot_be_used_are_counted_and_listed(tmp_path: Path) -> None:
    """A null, a label that is missing, a text that is too long, which truncation lets in."""
    path = tmp_path / "rows.jsonl"
    long = {"text": "good " * 600, "label": 1}
    rows = [{"text": "good", "label": 1}, {"text": None, "label": 1}, {"text": "bad", "label": None}, long]
    path.write_text("\n".join(json.dumps(row) for row in rows))

    found, cut = (evaluated(BUNDLED, "-i", str(path), *more, code=3) for more in ((), ("--truncation",)))

    assert (1, 2) == (found["texts"], cut["texts"])
    assert [2, 3, 4] == [one["line"] for one in found["unusable"]]
    reasons = [one["reason"] for one in found["unusable"]]
    assert "has null in column 'text', but must have a string" == reasons[0]
    assert "has no label in column 'label'" == reasons[1]
    assert "is 602 tokens long, but the model takes at most 512: shorten it, or add --truncation." == reasons[2]
    assert [2, 3] == [one["line"] for one in cut["unusable"]]
    done = labeld("evaluate", BUNDLED, "-i", str(path), *DRAWS)
    assert "3 rows have no part in these figures." in done.stdout
    assert "has no label in column 'label'" in done.stdout
    assert "labeld: 3 rows have no part in these figures: see the reasons in the report.\n" == done.stderr


def test_what_cannot_be_evaluated_is_one_sentence(models_dir: Path, tmp_path: Path, reviews: str) -> None:
    """With the way out, before anything is computed."""
    folder = ("--models-dir", str(models_dir))
    several = table(tmp_path / "several.csv", [("good", "POSITIVE|NEGATIVE")])
    empty = table(tmp_path / "empty.csv", [])

    assert "org/one-label is a reranker model" in refused("org/one-label", "-i", reviews, *folder)
    assert "has no column 'words': it has text, label" in refused(BUNDLED, "-i", reviews, "--column", "words")
    assert "several.csv has 2 labels, but labeld/sentiment-en gives each text exactly one" in refused(
        BUNDLED, "-i", several, "--label-separator", "|"
    )
    assert "No row of" in refused(BUNDLED, "-i", empty)
    (tmp_path / "null.csv").write_text("text,label\n,POSITIVE\n")
    assert "label; the first of 1 that cannot be used, line 2, has null in column 'text'" in refused(
        BUNDLED, "-i", str(tmp_path / "null.csv")
    )
    assert "can be no file here" in refused(BUNDLED, "-i", reviews, "--html", "x" * 300)
    assert "There is no file" in refused(BUNDLED, "-i", str(tmp_path / "none.csv"))
    assert "--yaml has nothing to write" in refused(BUNDLED, "-i", reviews, "--yaml", str(tmp_path / "x.yaml"))
    assert "leave one out" in refused(BUNDLED, "-i", reviews, "--best-f1", "--target-precision", "0.9")
    assert "--min-f1 is 90, but must be above 0 and at most 1" in refused(BUNDLED, "-i", reviews, "--min-f1", "90")
    assert "is there already: name another file, or add --overwrite" in refused(
        BUNDLED, "-i", reviews, "--html", __file__
    )
    assert "--alias is 'a b', but must be a name like" in refused(BUNDLED, "-i", reviews, "--alias", "a b")
    assert "each must be another one" in refused(BUNDLED, "-i", reviews, "--label-column", "text")


def test_an_unknown_label_is_named_with_those_of_the_model(tmp_path: Path) -> None:
    """And --label-map says which one it is."""
    path = table(tmp_path / "stars.csv", [("wonderful", "five"), ("terrible", "one"), ("awful", "one")])

    sentence = refused(BUNDLED, "-i", path)
    found = evaluated(BUNDLED, "-i", path, "--label-map", "five=positive", "--label-map", "one=0")

    assert "Line 2 of" in sentence
    assert "has the label 'five', but those of labeld/sentiment-en are NEGATIVE, POSITIVE" in sentence
    assert "--label-map" in sentence
    assert 1.0 == found["result"]["accuracy"]["value"]


def test_the_extra_is_named_where_it_is_missing(reviews: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "sklearn", None)

    assert 'labeld evaluate needs scikit-learn: pip install "labeld[eval]".' in refused(BUNDLED, "-i", reviews)


def test_a_metric_below_its_minimum_ends_with_a_code_of_its_own(reviews: str) -> None:
    """The report comes all the same, and the sentence has both numbers."""
    low = labeld("evaluate", BUNDLED, "-i", reviews, "--min-f1", "0.95", "--min-accuracy", "0.9", *DRAWS)
    fine = labeld("evaluate", BUNDLED, "-i", reviews, "--min-f1", "0.5", "--min-accuracy", "0.9", *DRAWS)

    assert (2, 0) == (low.returncode, fine.returncode)
    assert "labeld: The macro F1 of labeld/sentiment-en is 0.89" in low.stderr
    assert "less than 0.95." in low.stderr
    assert "The accuracy" not in low.stderr
    assert "Evaluation of" in low.stdout


def test_thresholds_and_temperature_are_what_the_server_takes(tmp_path: Path) -> None:
    """`labeld config check` accepts the file, an alias answers by it, and evaluating that gives its temperature."""
    path = tmp_path / "labeld.yaml"
    other = {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE", "1": "0", "0": "1"}
    wrong = [(text, other[label.upper()]) for text, label in REVIEWS]  # of a model that is too sure
    reviews = table(tmp_path / "reviews.csv", [*REVIEWS * 4, *wrong])
    first = evaluated(BUNDLED, "-i", reviews, "--target-precision", "0.8", "--calibrate", "--yaml", str(path))
    checked = labeld("config", "check", str(path))
    answers = labeld("classify", "--config", str(path), "--model", "sentiment-en", "so so", "wonderful")
    again = evaluated("sentiment-en", "-i", reviews, "--best-f1", LABELD_CONFIG=str(path))

    assert (0, 0) == (checked.returncode, answers.returncode), checked.stderr
    assert path.read_text() == first["configuration"]
    least = {one["label"]: one["value"] for one in first["thresholds"]}
    for ranking in map(json.loads, answers.stdout.splitlines()):
        assert all(one["score"] >= least[one["label"]] for one in ranking)
    assert first["calibration"]["temperature"] == again["result"]["temperature"] != 1
    assert "  sentiment-en:\n    model: labeld/sentiment-en\n    temperature: " in again["configuration"]


def test_a_temperature_that_is_no_help_is_not_written(tmp_path: Path) -> None:
    """The file says so, and its thresholds are for scores without it."""
    path, yaml = tmp_path / "right.csv", tmp_path / "labeld.yaml"
    texts = table(path, [["Wonderful.", "POSITIVE"], ["Awful.", "NEGATIVE"]] * 5)
    found = evaluated(BUNDLED, "-i", texts, "--best-f1", "--calibrate", "--yaml", str(yaml))
    plain = evaluated(BUNDLED, "-i", texts, "--best-f1")

    assert "# The temperature is left out of the configuration, since 0.01 is the end of what" in yaml.read_text()
    assert "temperature: " not in yaml.read_text()
    assert found["thresholds"] == plain["thresholds"]


def test_every_label_gets_a_threshold_and_ids_are_said(models_dir: Path, tmp_path: Path) -> None:
    """A label that no text has would else be in every answer; the report says that numbers were read as ids."""
    path, yaml = tmp_path / "moods.jsonl", tmp_path / "labeld.yaml"
    rows = [{"text": text, "label": [0] if number % 2 else [2]} for number, (text, _) in enumerate(MOODS)]
    path.write_text("\n".join(map(json.dumps, rows)))
    options = ("-i", str(path), "--models-dir", str(models_dir))
    found = evaluated("org/multi-label", *options, "--best-f1", "--yaml", str(yaml))
    checked = labeld("config", "check", str(yaml), LABELD_MODELS_DIR=str(models_dir))

    assert 0 == checked.returncode, checked.stderr
    assert "# No text has the label neutral: its threshold of 0.5 was not chosen by texts.\n" in yaml.read_text()
    assert "      neutral: 0.5\n" in yaml.read_text()
    assert found["notes"] == [
        "Labels were read as ids of org/multi-label: 0 = negative, 2 = positive; --label-map says it otherwise."
    ]
    done = labeld("evaluate", "org/multi-label", *options, *DRAWS)
    assert 1 == done.stdout.count("Labels were read as ids of")


@needs_int8
def test_two_models_are_compared_text_by_text(models_dir: Path, tmp_path: Path, reviews: str) -> None:
    """With another precision, which rarely differs, and with another model, whose labels are called otherwise."""
    names = (*("--label-map", "POSITIVE=positive"), *("--label-map", "NEGATIVE=negative"))
    mapped = (
        *names,
        *(part for one, label in (("1", "positive"), ("0", "negative")) for part in ("--label-map", f"{one}={label}")),
    )
    precision = evaluated(BUNDLED, "-i", reviews, "--against", "int8")
    other = evaluated(BUNDLED, "-i", reviews, "--against", "org/bert", *mapped, "--models-dir", str(models_dir))
    text = labeld("evaluate", BUNDLED, "-i", reviews, "--against", "int8", *DRAWS).stdout

    same = precision["against"]
    assert ("int8", f"{BUNDLED} in int8") == (same["result"]["precision"], same["result"]["model"])
    assert {"both": 9, "only_first": 0, "only_second": 0, "neither": 1, "p_value": 1.0} == same["mcnemar"]
    assert {"value": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0} == same["accuracy"]
    assert "McNemar's exact test of that: p = 1" in text
    noise = other["against"]
    assert noise["result"]["accuracy"]["value"] < 0.9
    assert noise["accuracy"]["value"] == pytest.approx(noise["result"]["accuracy"]["value"] - 0.9)
    assert noise["mcnemar"]["only_first"] > noise["mcnemar"]["only_second"]


def test_the_html_report_has_pictures_and_escapes_the_texts(tmp_path: Path) -> None:
    """One file, in which a hostile text is a text."""
    hostile = "<script>alert('bad')</script> terrible"
    path, html = table(tmp_path / "x.csv", [*REVIEWS, (hostile, "POSITIVE")]), tmp_path / "report.html"

    done = labeld("evaluate", BUNDLED, "-i", path, "--html", str(html), "--best-f1", "--calibrate", *DRAWS)

    text = html.read_text()
    assert 0 == done.returncode, done.stderr
    assert 3 == text.count("<svg")
    assert "&lt;script&gt;alert(&#39;bad&#39;)&lt;/script&gt; terrible" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_report_replaces_no_file_that_is_read(tmp_path: Path) -> None:
    """Whatever the file is called, and with --overwrite too."""
    path = table(tmp_path / "x.csv", REVIEWS)
    (tmp_path / "link.html").symlink_to("x.csv")
    before = Path(path).read_bytes()

    for name in ("x.csv", "link.html"):
        done = labeld("evaluate", BUNDLED, "-i", path, "--html", str(tmp_path / name), "--overwrite", *DRAWS)
        assert (1, True) == (done.returncode, "is one of the files that are read" in done.stderr)
    assert before == Path(path).read_bytes()


def test_a_report_that_cannot_be_written_is_printed_all_the_same(reviews: str) -> None:
    """A disk that is full costs the file and not the figures."""
    done = labeld("evaluate", BUNDLED, "-i", reviews, "--html", "/dev/full", "--json", *DRAWS)

    assert 1 == done.returncode
    assert "'/dev/full' cannot be written: No space left on device." in done.stderr
    assert 10 == json.loads(done.stdout)["texts"]


def test_a_full_standard_output_is_one_sentence(reviews: str) -> None:
    """Of a command that prints its result."""
    command = [LABELD, "evaluate", BUNDLED, "-i", reviews, "--json", *DRAWS]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (1, "labeld: what is printed cannot be written: No space left on device.\n") == (
        done.returncode,
        done.stderr,
    )
