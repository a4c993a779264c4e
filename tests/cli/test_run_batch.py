"""`labeld run-batch`: each line of a batch is answered in its place as the server answers it, or with its error."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from labeld.cli.batch_lines import Lines, WrongLineError, parsed
from tests.support.command_line import interrupted, labeld
from tests.support.rankings import same
from tests.support.server_process import LABELD, Server, wait_until


@pytest.fixture
def flags(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The flags of a batch in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return (
        "run-batch",
        "org/bert",
        "--models-dir",
        str(models_dir),
        "--threads",
        "1",
        "-i",
        "in.jsonl",
        "-o",
        "o.jsonl",
    )


def answers() -> list[dict[str, Any]]:
    """The lines of the output."""
    return [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]


def line(custom_id: str, url: str, body: Any, **members: Any) -> str:
    """A line of the input."""
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body, **members}) + "\n"


def test_every_line_is_answered_in_its_place(
    flags: tuple[str, ...], server: Server, expected: Callable[..., Any]
) -> None:
    """With the bodies of the server's routes, which are transformers' answers, in the shape of OpenAI's batches."""
    texts = [f"good film {number}" for number in range(150)]
    asked = [
        ("/v1/rerank", {"query": "good", "documents": ["bad", "film"], "model": "org/bert", "label": "positive"}),
        ("/classify", {"input": ["the market fell"], "model": "org/bert"}),
        ("/models/org/distilbert", {"inputs": "the market fell"}),
    ]
    Path("in.jsonl").write_text(
        "".join(line(f"r{number}", "/models/org/bert", {"inputs": text}) for number, text in enumerate(texts))
        + "\n"
        + "".join(line(url, url, body) for url, body in asked)
    )
    ended = labeld(*flags)
    found = answers()

    assert (0, "153 requests are answered in o.jsonl.\n") == (ended.returncode, ended.stderr)
    assert [*(f"r{number}" for number in range(150)), *(url for url, _ in asked)] == [one["custom_id"] for one in found]
    assert {("custom_id", "error", "id", "response")} == {tuple(sorted(one)) for one in found}
    assert {(200, None)} == {(one["response"]["status_code"], one["error"]) for one in found}
    assert {f"batch_req_{one['response']['request_id']}" == one["id"] for one in found} == {True}
    same([one["response"]["body"][0] for one in found[:150]], expected("org/bert", texts))
    for (url, body), one in zip(asked, found[150:], strict=True):
        served = server.post(url, json=body).json()
        assert _shape(served) == _shape(one["response"]["body"])


def _shape(value: Any) -> Any:
    """A reply without its numbers and ids."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items() if name not in {"id", "created"}}
    return [_shape(one) for one in value] if isinstance(value, list) else type(value)


def test_a_line_that_fails_stands_in_its_own_answer(flags: tuple[str, ...]) -> None:
    """The others are answered, and the exit code says that one failed."""
    Path("in.jsonl").write_text(
        line("long", "/models/org/bert", {"inputs": "film " * 600})
        + line("path", "/v1/nothing", {})
        + "not JSON\n"
        + line("method", "/models/org/bert", {}, method="GET")
        + '{"custom_id": "bare"}\n'
        + line("whole", "https://api.example/models/org/bert?x=1", {"inputs": "good"})
    )
    ended = labeld(*flags)
    found = answers()

    assert (3, "6 requests are answered in o.jsonl, 5 of them with an error.\n") == (ended.returncode, ended.stderr)
    assert ["long", "path", None, "method", "bare", "whole"] == [one["custom_id"] for one in found]
    assert [400, 404, None, None, None, 200] == [one["response"] and one["response"]["status_code"] for one in found]
    assert "602 tokens" in found[0]["response"]["body"]["error"]
    assert [one["error"]["message"] for one in found[2:5]] == [
        'Line 3 is no JSON object (column 1): write {"custom_id": …, "method": …, "url": …, …}.',
        "The method of line 4 is 'GET', but must be POST.",
        'Line 5 has no "url": write a path of the HTTP API, such as /v1/moderations.',
    ]


@pytest.mark.parametrize(
    ("given", "custom_id", "sentence"),
    [
        ('{"custom_id": "a", "url": "/", "body": {"inputs": "x", "inputs": "y"}}', "a", "has the key 'inputs' twice"),
        ('{"custom_id": "a", "custom_id": "b", "url": "/", "body": {}}', "a", "has the key 'custom_id' twice"),
        ('{"custom_id": 1e400, "url": "/", "body": {}}', None, "The number 1e400 in the body is too large"),
        ('{"custom_id": NaN, "url": "/", "body": {}}', None, "is no JSON object (NaN is not a JSON number): write"),
        ('{"custom_id": "a\\u0062", "url": "/", "body": ' + "9" * 5000 + "}", "ab", "has more than 4300 digits"),
        ('{"custom_id": "a", "url": "/", "body": ' + "[" * 50_000 + "]" * 50_000 + "}", "a", "is nested too deep"),
    ],
    ids=str,
)
def test_json_that_a_server_refuses_is_refused(
    flags: tuple[str, ...], given: str, custom_id: str | None, sentence: str
) -> None:
    """With the custom_id where that can be read, in an output that is JSON for everybody."""
    Path("in.jsonl").write_text(f"{given}\n{line('next', '/models/org/bert', {'inputs': 'good'})}")
    ended = labeld(*flags)
    first, second = (json.loads(one, parse_constant=pytest.fail) for one in Path("o.jsonl").read_text().splitlines())

    assert (3, custom_id, "next") == (ended.returncode, first["custom_id"], second["custom_id"])
    assert sentence in first["error"]["message"]
    assert 200 == second["response"]["status_code"]


def test_a_url_that_is_none_is_a_wrong_line(flags: tuple[str, ...]) -> None:
    """And one whose path begins with two slashes is asked for as a server takes it."""
    paths = ["/v1/mod\u0007", "/" + "x" * 70_000, ":x", "/\ud800"]
    wrong = [line(str(number), path, {"inputs": "good"}) for number, path in enumerate(paths)]
    right = ["//models/org/bert", "https://host//models/org/bert", "models/org/bert"]
    deep = '{"custom_id": "deep", "url": "/models/org/bert", "body": ' + "[" * 900 + "]" * 900 + "}\n"
    Path("in.jsonl").write_text("".join(wrong) + "".join(line(url, url, {"inputs": "good"}) for url in right) + deep)
    ended = labeld(*flags)
    found = answers()

    assert (3, 8) == (ended.returncode, len(found))
    assert [200, 200, 200] == [one["response"]["status_code"] for one in found[4:7]]
    for one in [found[0], found[1], found[3]]:
        assert "is no URL: write a path, such as /v1/moderations." in one["error"]["message"]
    assert 404 == found[2]["response"]["status_code"]
    assert found[7]["error"] or found[7]["response"]["status_code"] == 400


def test_a_line_that_is_too_long_is_no_request(flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not kept in memory, and the lines behind it are answered."""
    monkeypatch.setattr("labeld.cli.batch_lines.LONGEST_LINE", 1 << 20)
    long = line("long", "/models/org/bert", {"inputs": "x" * (5 << 19)})
    Path("in.jsonl").write_text(long + line("short", "/models/org/bert", {"inputs": "good"}))
    ended = labeld(*flags)
    found = answers()

    assert (3, 2) == (ended.returncode, len(found))
    assert "Line 1 has more than 1 MB: send fewer texts in each request." == found[0]["error"]["message"]
    assert 200 == found[1]["response"]["status_code"]


def test_a_custom_id_that_is_there_already_is_named(flags: tuple[str, ...]) -> None:
    """The first line that has it is answered; lines without one are told apart by their place."""
    asked = line("a", "/models/org/bert", {"inputs": "good"})
    without = json.dumps({"url": "/models/org/bert", "body": {"inputs": "good"}}) + "\n"
    Path("in.jsonl").write_text(asked + line("b", "/models/org/bert", {"inputs": "bad"}) + asked + 2 * without)

    ended = labeld(*flags)

    assert (3, "5 requests are answered in o.jsonl, 1 of them with an error.\n") == (ended.returncode, ended.stderr)
    assert [False, False, True, False, False] == [one["response"] is None for one in answers()]
    assert (
        'The custom_id of line 3, "a", is that of an earlier line: give each line one of its own.'
        == answers()[2]["error"]["message"]
    )


def test_ids_before_a_place_in_the_file(tmp_path: Path) -> None:
    """A run that goes on knows those that were answered before, and reads on behind them."""
    head = (line("a", "/", {}) + "\n" + "no JSON\n").encode()
    (tmp_path / "in.jsonl").write_bytes(head + line("b", "/", {}).encode())

    with (tmp_path / "in.jsonl").open("rb") as file:
        lines = Lines("in.jsonl", file, Event())
        ids = lines.ids_before(len(head))
        rest = lines.next()

    assert rest
    ids.require_new(parsed(rest[0], 4), 4)
    with pytest.raises(WrongLineError, match="custom_id of line 5"):
        ids.require_new({"custom_id": "a"}, 5)


def test_a_dash_is_standard_input_and_no_output(flags: tuple[str, ...], models_dir: Path) -> None:
    """Answers need a file that another run can go on with."""
    asked = line("a", "/models/org/bert", {"inputs": "good"})
    command = [LABELD, *flags[:-3], "-", "-o"]
    environment = {**os.environ, "LABELD_HUB": "off"}

    ended = subprocess.run(
        [*command, "o.jsonl"], input=asked, text=True, capture_output=True, env=environment, check=False
    )

    assert (0, "1 request is answered in o.jsonl.\n") == (ended.returncode, ended.stderr)
    assert "need a file" in labeld(*flags[:-1], "-").stderr
    assert not Path("-").exists()


@pytest.mark.slow
@pytest.mark.parametrize("given", [b"", b'{"custom_id": "a", "url": "/models/org/bert", "body": {"inputs": "a"}}\n'])
def test_ctrl_c_ends_a_run_whose_input_is_silent(flags: tuple[str, ...], given: bytes) -> None:
    """Before the first line, and while its answer is all that there is to do."""
    code, said = interrupted((*flags[:-3], "-", *flags[-2:]), Path.cwd(), given, idle=True)

    assert (130, "\nStopped: start anew with --overwrite.\n") == (code, said)


def test_requests_may_be_compressed(flags: tuple[str, ...]) -> None:
    """As files of texts may be, by their name; and what is no text of lines is said to be none."""
    asked = line("a", "/models/org/bert", {"inputs": "good"})
    Path("in.jsonl.gz").write_bytes(gzip.compress(asked.encode()))
    Path("in.jsonl").write_bytes(asked.encode("utf-16"))
    packed = labeld(*flags, "-i", "in.jsonl.gz")
    wide = labeld(*flags, "--overwrite")

    assert (0, "1 request is answered in o.jsonl.\n") == (packed.returncode, packed.stderr)
    assert (1, "labeld: in.jsonl is UTF-16, but must be UTF-8: convert it") == (wide.returncode, wide.stderr[:57])


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_the_requests_are_never_replaced_by_their_answers(flags: tuple[str, ...], option: str) -> None:
    """By whatever option, and an output that is none is not taken for complete."""
    asked = line("a", "/models/org/bert", {"inputs": "good"})
    Path("in.jsonl").write_text(asked)
    ended = labeld(*flags, "-o", "in.jsonl", option)
    Path("o.jsonl").write_text("no answers\n")
    foreign = labeld(*flags, "--resume")

    assert (1, 1, asked) == (ended.returncode, len(ended.stderr.splitlines()), Path("in.jsonl").read_text())
    assert (1, "no answers\n") == (foreign.returncode, Path("o.jsonl").read_text())
    assert "o.jsonl exists, and which run has made it is not known" in foreign.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_no_answer_of_its_own(flags: tuple[str, ...]) -> None:
    """It ends the run at once, again and again, and what it ended is asked for by the next run."""
    asked = [line(f"r{number}", "/models/org/bert", {"inputs": f"film {number}"}) for number in range(30_000)]
    Path("in.jsonl").write_text("".join(asked))
    before = 0
    for _ in range(6):
        running = subprocess.Popen(
            [sys.executable, "-m", "labeld", *flags, "--resume"],
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
        )
        assert wait_until(lambda: rows_done() > before, 60)  # noqa: B023  # called in this round only
        running.send_signal(signal.SIGINT)
        assert 130 == running.wait(20)
        before = rows_done()
    found = [json.loads(one) for one in Path("o.jsonl.partial").read_text().splitlines()]

    assert {200} == {one["response"]["status_code"] for one in found}


def rows_done() -> int:
    """Requests that the journal counts."""
    try:
        return int(json.loads(Path("o.jsonl.partial.json").read_text())["rows"])
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(flags: tuple[str, ...]) -> None:
    """No line is lost, none is twice, and those of the first run count where the second one says how it went."""
    bad = '{"custom_id": "bad"}\n\n'
    asked = [line(f"r{number}", "/models/org/bert", {"inputs": f"film {number}"}) for number in range(3000)]
    Path("in.jsonl").write_text(bad + "".join(asked))
    running = subprocess.Popen([sys.executable, "-m", "labeld", *flags])
    assert wait_until(Path("o.jsonl.partial.json").exists, 60)
    assert wait_until(lambda: json.loads(Path("o.jsonl.partial.json").read_text())["rows"] > 0, 60)
    running.kill()
    running.wait()
    done = json.loads(Path("o.jsonl.partial.json").read_text())["rows"]
    refused, resumed, complete = labeld(*flags), labeld(*flags, "--resume"), labeld(*flags, "--resume")

    assert 0 < done < 3001
    assert (1, True) == (refused.returncode, "o.jsonl was begun by a run that ended early" in refused.stderr)
    assert (3, "3,001 requests are answered in o.jsonl, 1 of them with an error.\n") == (
        resumed.returncode,
        resumed.stderr,
    )
    assert ["bad", *(f"r{number}" for number in range(3000))] == [one["custom_id"] for one in answers()]
    assert (3, "o.jsonl is complete.\n") == (complete.returncode, complete.stderr)
    assert [".o.jsonl.done.json", "in.jsonl", "o.jsonl"] == sorted(map(str, Path().iterdir()))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "There is no file in.jsonl."),
        (("-i", "."), ". is a folder: name its files, for example '*.csv'."),
        (("-i", "x" * 300), "is longer than a file's name may be."),
        (("-i", "/dev/null", "-o", "x" * 300), "x'… is too long for a file: name a shorter one."),
        (("-i", "/dev/null", "-o", "no/o.jsonl"), "There is no folder no: name a file in a folder that exists."),
        (("-i", "/dev/null", "-o", "."), ". is a folder: name a file in a folder that exists."),
        (("no/such", "-i", "/dev/null"), "Model no/such"),
    ],
)
def test_what_is_wrong_as_a_whole_is_one_sentence(flags: tuple[str, ...], more: tuple[str, ...], sentence: str) -> None:
    """And no output is left."""
    ended = labeld(*flags, *more)

    assert (1, 1, []) == (ended.returncode, len(ended.stderr.splitlines()), list(Path().iterdir()))
    assert sentence in ended.stderr
