"""`labeld compare`: reports on servers that are there and on those that are not, with the exit codes."""

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import labeld
from tests.support.odd_peers import Reply, odd_peer, transformers_server
from tests.support.server_process import LABELD, Server, wait_until
from tests.support.tiny_models import TEXTS

pytestmark = pytest.mark.slow

BODY = '{"text": "TEXT", "pair": "PAIR"}'
WORDS = [text for text in TEXTS if text and "\n" not in text] + ["good film", "bad film", "hello world", "i like it"]
NEGATIVE = Reply(value=[{"label": "NEGATIVE", "score": 0.5}, {"label": "neutral", "score": 0.3}])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A file of texts, one of them without any."""
    path = tmp_path / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["text", "other"], *([text, "the market fell"] for text in WORDS)])
    return path


@pytest.fixture
def compare(models_dir: Path, texts: Path) -> Callable[..., Any]:
    """`labeld compare org/bert --input FILE …`, as it ends."""

    def run(against: str, *arguments: str, model: str = "org/bert", **variables: str) -> Any:
        places = ("--input", str(texts), "--models-dir", str(models_dir), "--threads", "1")
        return labeld("compare", model, "--against", against, *places, *arguments, **variables)

    return run


def result(ended: Any, code: int = 0) -> dict[str, Any]:
    """The report of a run that ended so."""
    assert ended.returncode == code, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    assert (code == 0) == found["complete"]
    return found


def test_a_server_of_transformers_agrees(models_dir: Path, compare: Callable[..., Any], tmp_path: Path) -> None:
    """Its own route and shape, in a process of its own, on pairs, at one connection and at several."""
    page = tmp_path / "report.html"
    with transformers_server(models_dir / "org/bert") as url:
        options = ("--body", BODY, "--pair-column", "other", "--connections", "4", "--core-hour", "0.05", "--json")
        found = result(compare(url, *options, "--threshold", "0.5", "--threshold", "positive=0.4", "--html", str(page)))

    assert (len(WORDS), len(WORDS)) == (found["texts"], found["compared"])
    assert (1.0, []) == (found["agreement"]["share"], found["disagreements"])
    assert found["differences"]["max"] < 1e-5
    assert {"negative": 0.5, "neutral": 0.5, "positive": 0.4} == {
        one["label"]: one["threshold"] for one in found["flips"]
    }
    assert [0, 0, 0] == [one["flips"]["count"] for one in found["flips"]]
    for side in (found["ours"], found["theirs"]):
        assert [1, 4] == [one["connections"] for one in side["speeds"]]
        assert [len(WORDS)] * 2 == [one["texts"] for one in side["speeds"]]
        best = max(one["texts_per_second"] for one in side["speeds"])
        assert side["cost_per_billion"] == pytest.approx(0.05 * side["cores"] * 1e9 / best / 3600)
        assert side["memory_bytes"] > 20_000_000
    assert 1 == found["ours"]["cores"]
    assert "own body" in found["dialect"]
    html = page.read_text()
    assert html.startswith("<!doctype html>")
    assert 2 == html.count("<svg")


def test_another_labeld_agrees(server: Server, compare: Callable[..., Any], texts: Path) -> None:
    """Found by what it says of itself; the text report has every figure, and no more texts than asked for."""
    ended = compare(server.url, "--limit", "3", "--core-hour", "0.04")

    assert 0 == ended.returncode, ended.stderr
    for part in ("on 3 of 3 texts", "100.00% (3 of 3)", "dialect hosted", "since GET /v2 says that it is labeld", "MB"):
        assert part in ended.stdout
    assert texts.name not in ended.stdout  # rows of one file need no more than their numbers


def test_an_alias_whose_thresholds_leave_no_label_is_compared(
    server: Server, compare: Callable[..., Any], tmp_path: Path
) -> None:
    """An answer without labels is one, and differs from one with labels; nobody is given up."""
    config = tmp_path / "labeld.yaml"
    config.write_text("models: {strict: {model: org/bert, thresholds: 0.999}}")
    options = ("--config", str(config), "--against-model", "org/bert", "--json")
    found = result(compare(server.url, *options, model="strict"))

    assert (len(WORDS), 0.0, len(WORDS)) == (
        found["compared"],
        found["agreement"]["share"],
        len(found["disagreements"]),
    )
    assert [] == found["disagreements"][0]["ours"]


def test_disagreements_are_listed(compare: Callable[..., Any], expected: Callable[..., Any]) -> None:
    """Each with both rankings, those of which labeld is surest first; labels match but for their case."""
    references = {text: expected("org/bert", [text])[0] for text in WORDS}
    other = {text: ranking for text, ranking in references.items() if ranking[0]["label"] != "negative"}
    with odd_peer(lambda *_: NEGATIVE) as peer:
        found = result(compare(peer.url, "--dialect", "tei", "--json", "--threshold", "negative=0.4"))

    assert (len(WORDS) - len(other)) / len(WORDS) == found["agreement"]["share"]
    assert sorted(other) == sorted(one["text"] for one in found["disagreements"])
    surest = [one["ours"][0]["score"] for one in found["disagreements"]]
    assert sorted(surest, reverse=True) == surest
    for one in found["disagreements"]:
        assert one["line"] == WORDS.index(one["text"]) + 2
        assert [label["label"] for label in one["ours"]] == [label["label"] for label in other[one["text"]]]
        assert {"label": "negative", "score": 0.5} == one["theirs"][0]
    largest = [
        max(abs(label["score"] - {"negative": 0.5, "neutral": 0.3}[label["label"]]) for label in ranking)
        for ranking in ([one for one in ranking if one["label"] != "positive"] for ranking in references.values())
    ]
    assert found["differences"]["mean"] == pytest.approx(sum(largest) / len(largest), abs=1e-5)
    below = [
        ranking
        for ranking in references.values()
        for one in ranking
        if one["label"] == "negative" and one["score"] < 0.4
    ]
    assert (len(below), 0) == (found["flips"][0]["flips"]["count"], found["flips"][0]["only_ours"])
    assert "Labels were matched without regard to case: NEGATIVE = negative." in found["notes"]


def test_transformers_in_this_process_agrees(compare: Callable[..., Any]) -> None:
    """On texts one by one and in lists; labeld and transformers take turns."""
    found = result(compare("transformers", "--connections", "4", "--json"))

    assert (1.0, len(WORDS), None) == (found["agreement"]["share"], found["compared"], found["dialect"])
    assert found["differences"]["max"] < 1e-5
    for side in (found["ours"], found["theirs"]):
        assert [1, 4] == [one["connections"] for one in side["speeds"]]
        assert all(one["tokens_per_second"] > one["texts_per_second"] for one in side["speeds"])


def test_a_model_with_one_label_is_compared_by_its_order(compare: Callable[..., Any], models_dir: Path) -> None:
    """A best label would say nothing."""
    with transformers_server(models_dir / "org/one-label") as url:
        found = result(compare(url, "--body", '{"text": "TEXT"}', "--json", model="org/one-label"))

    assert (None, pytest.approx(1.0)) == (found["agreement"], found["order_agreement"])


def test_a_server_that_dies_leaves_a_partial_report(compare: Callable[..., Any]) -> None:
    """With the exit code of one; texts it did not answer are no disagreements."""
    good = Reply(value=[{"label": "negative", "score": 0.9}])
    with odd_peer(lambda *asked: good if asked[3] < 3 else Reply(500, {"error": "gone"})) as peer:
        found = result(compare(peer.url, "--dialect", "tei", "--connections", "2", "--json"), 3)

    assert (3, 5) == (found["compared"], len(found["theirs"]["failures"]))
    assert (3, [1]) == (found["agreement"]["of"], [one["connections"] for one in found["theirs"]["speeds"]])
    assert found["stopped"][0].startswith("The peer failed 5 times in a row and is not asked any more: ")
    assert 6 <= len(peer.posts()) == 8


def test_rows_without_an_answer_are_listed(compare: Callable[..., Any], texts: Path, server: Server) -> None:
    """One that is too long for labeld is not asked of the peer; one without a text is none of both."""
    with texts.open("a", encoding="utf-8") as file:
        file.write(f"{'film ' * 600},x\n")
    texts.with_suffix(".jsonl").write_text('{"text": "a film"}\n{"text": null}\n{"text": "good"}\n', encoding="utf-8")
    more = ("--input", str(texts.with_suffix(".jsonl")))
    ended = compare(server.url, *more)
    found = result(compare(server.url, *more, "--json"), 3)

    assert 3 == ended.returncode
    assert "Rows that were not compared" in ended.stdout
    assert f"{texts}:{len(WORDS) + 2}" in ended.stdout.replace("\n", "")
    assert [str(texts)] == [one["file"] for one in found["ours"]["failures"]]
    assert "602 tokens" in found["ours"]["failures"][0]["reason"]
    assert [2] == [one["line"] for one in found["bad_rows"]]
    assert (len(WORDS) + 3, len(WORDS) + 2) == (found["texts"], found["compared"])
    assert result(compare(server.url, *more, "--truncation", "--limit", str(len(WORDS) + 1), "--json"))["compared"]


SENTENCES = [
    (("http://127.0.0.1:9",), "The peer at http://127.0.0.1:9 cannot be reached: is it running?"),
    (("localhost",), "--against is 'localhost', but must be transformers, or a URL such as"),
    (("http://h", "--dialect", "x"), "--dialect is 'x', but must be one of open-inference, kserve, hosted, tei, "),
    (("http://h", "--dialect", "tei", "--body", "{}"), "--dialect and --body contradict each other: leave one out."),
    (("http://h", "--body", "{}"), '--body has no "TEXT", quotes included, where the text goes.'),
    (("http://h", "--connections", "2000"), "--connections is 2000, but must be from 1 to 1024."),
    (("http://h", "--timeout", "0"), "--timeout is 0, but must be a number above 0."),
    (("http://h", "--threshold", "x=y"), "--threshold is 'x=y', but must be a number such as 0.5, or like spam=0.9."),
    (("http://h", "--pair-column", "text"), "--column and --pair-column are both 'text', but must be two columns."),
    (("http://h", "--column", "nope"), "no column 'nope': it has text, other."),
    (("http://h", "--against-token-file", "/no/such"), "The file of --against-token-file cannot be read."),
    (("http://h", "--html", "/no/such/page.html"), "'/no/such/page.html' cannot be written: its folder is missing"),
    (("http://h", "--dialect", "vllm", "--pair-column", "other"), "The dialect vllm has no pairs: leave out --pair-"),
    (
        ("transformers", "--dialect", "tei"),
        "--dialect is for servers, and transformers runs in this process: leave it out.",
    ),
    (("transformers", "--threshold", "x=1"), "--threshold names the label 'x', but the model has negative, neutral, "),
    (("transformers", "--label-map", "a=b"), "--label-map names the label 'b', but the model has negative, neutral, "),
]


@pytest.mark.parametrize(("arguments", "sentence"), SENTENCES)
def test_what_is_wrong_is_one_sentence(compare: Callable[..., Any], arguments: tuple[str, ...], sentence: str) -> None:
    """And nothing is printed as a report."""
    ended = compare(*arguments)

    assert (1, "", 1) == (ended.returncode, ended.stdout, len(ended.stderr.splitlines()))
    assert ended.stderr.startswith("labeld: ")
    assert sentence in ended.stderr


def test_texts_that_are_all_too_long_are_named_with_the_way_out(compare: Callable[..., Any], texts: Path) -> None:
    """However many follow each other: the others are compared."""
    long = "film " * 600
    texts.write_text("text\n" + "".join(f"{long}\n" for _ in range(7)) + "good film\n", encoding="utf-8")
    with odd_peer(lambda *_: NEGATIVE) as peer:
        found = result(compare(peer.url, "--dialect", "tei", "--json"), 3)
        asked = len(peer.asked)
    here = result(compare("transformers", "--json"), 3)

    assert (1, 1, 7) == (found["compared"], asked, len(found["ours"]["failures"]))
    assert "labeld refused 7 of the texts: --truncation cuts those that are too long for the model." in found["notes"]
    assert (1, 7) == (here["compared"], len(here["ours"]["failures"]))
    assert here["ours"]["failures"][0]["reason"].endswith("or add --truncation.")


def test_a_server_that_cannot_start_is_one_sentence(compare: Callable[..., Any]) -> None:
    """Of labeld's own, with its own reason."""
    with odd_peer(lambda *_: NEGATIVE) as peer:
        ended = compare(peer.url, "--dialect", "tei", "--streams", "100000")

    assert (1, []) == (ended.returncode, peer.asked)
    assert ended.stderr.startswith("labeld: streams is 100000, but must be at most ")


def test_nothing_is_left_of_a_comparison_that_is_killed(models_dir: Path, texts: Path, tmp_path: Path) -> None:
    """Its server ends by itself."""
    with odd_peer(lambda *_: Reply(hangs=True)) as peer:
        command = [LABELD, "compare", "org/bert", "--against", peer.url, "--dialect", "tei", "--input", str(texts)]
        places = {"LABELD_CACHE_DIR": str(tmp_path), "LABELD_HUB": "off", "LABELD_MODELS_DIR": str(models_dir)}
        with subprocess.Popen(command, env={**os.environ, **places}) as process:
            assert wait_until(lambda: peer.asked, 60)
            (own,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            process.kill()

        assert wait_until(lambda: not Path(f"/proc/{own}").exists(), 30)


def test_an_unknown_model_is_one_sentence(compare: Callable[..., Any]) -> None:
    """Before the peer is asked."""
    with odd_peer(lambda *_: NEGATIVE) as peer:
        ended = compare(peer.url, model="no/such")

    assert (1, []) == (ended.returncode, peer.asked)
    assert ended.stderr.startswith("labeld: Model no/such ")


def test_other_labels_are_one_sentence(compare: Callable[..., Any]) -> None:
    """After one text, and a map of labels mends it."""
    with odd_peer(lambda *_: Reply(value=[{"label": "bad", "score": 0.5}])) as peer:
        ended = compare(peer.url, "--dialect", "tei")
        asked = len(peer.asked)
        mended = compare(peer.url, "--dialect", "tei", "--label-map", "bad=negative", "--json")

    assert (1, 1) == (ended.returncode, asked)
    assert "The peer has the labels bad, but the model has negative, neutral, positive: " in ended.stderr
    assert 0 == mended.returncode, mended.stderr


def test_a_token_is_sent_and_never_shown(compare: Callable[..., Any], tmp_path: Path) -> None:
    """From a file, which wins, or from the environment; labeld's own server does not get it."""
    file = tmp_path / "token"
    file.write_text("secret-of-a-file\n")
    for arguments, token in (
        ((), "secret-of-the-environment"),
        (("--against-token-file", str(file)), "secret-of-a-file"),
    ):
        with odd_peer(lambda *asked: NEGATIVE if asked[3] else Reply(500, {"error": "x"})) as peer:
            options = ("--dialect", "tei", "--limit", "2", "--json", *arguments)
            ended = compare(peer.url, *options, LABELD_AGAINST_TOKEN="secret-of-the-environment")

        assert {f"Bearer {token}"} == {headers["authorization"] for _, _, headers, _ in peer.asked}
        assert "secret" not in ended.stdout + ended.stderr
        assert 3 == ended.returncode


def test_a_page_that_is_there_is_not_written_over(compare: Callable[..., Any], tmp_path: Path) -> None:
    """Known before anybody is asked."""
    page = tmp_path / "page.html"
    page.write_text("mine")
    with odd_peer(lambda *_: NEGATIVE) as peer:
        refused = compare(peer.url, "--html", str(page))
        assert (1, "mine", []) == (refused.returncode, page.read_text(), peer.asked)
        assert "is there already: name another file, or add --overwrite." in refused.stderr
        assert 0 == compare(peer.url, "--dialect", "tei", "--html", str(page), "--overwrite").returncode

    assert page.read_text() != "mine"
