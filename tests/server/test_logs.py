"""The log of a server: a line of JSON for each request, which nothing that a client sends can break or forge."""

import io
import json
import logging
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.server import logs
from labeld.server.logs import JsonFormatter, TextFormatter
from tests.support.access_tokens import AccessTokens, some_access_tokens
from tests.support.raw_http import raw
from tests.support.server_process import Server, run_labeld, serving, wait_until

PIECES = [
    *(
        "\r",
        "\n",
        "\r\n",
        "\x1b[31m",
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\u2028",
        "\u2029",
        "\x85",
        "\x00",
        "\x7f",
        "\x0b",
    ),
    *(
        "\x9b1m",
        "\u202e",
        "\ufeff",
        '"',
        "\\",
        '"}\n{"level": "error", "message": "forged"}',
        "%0d%0a",
        "{}",
        "%s",
        "世",
    ),
    *("2026-11-25 20:00:00,000 ERROR labeld: forged", "\ud83d\ude00", "a" * 300, "'", "</script>"),
]
SECRET_TEXT = "the secret text of somebody"


def payloads(count: int) -> list[str]:
    """Texts that try to end a line, to begin another or to move a terminal's cursor."""
    chosen = random.Random(7)
    return ["".join(chosen.choices(PIECES, k=chosen.randint(1, 5))) for _ in range(count)]


def lines_of(server: Server) -> list[str]:
    """The lines so far; a line ends where a reader of files ends it."""
    return server.log.read_bytes().decode("ascii").split("\n")[:-1]


@pytest.fixture(scope="module")
def access_tokens(tmp_path_factory: pytest.TempPathFactory) -> AccessTokens:
    """Access tokens of every kind, of which one has a hostile name."""
    access_tokens = some_access_tokens(tmp_path_factory.mktemp("some-access-tokens"))
    access_tokens.make('"}{"key_name": "<b>世', models=("labeld/*",))
    return access_tokens


@pytest.fixture
def logged(access_tokens: AccessTokens, tmp_path: Path) -> Iterator[Server]:
    """A server that writes lines of JSON, and knows these tokens."""
    with serving(tmp_path, "--log-format", "json", LABELD_TOKENS_DB=str(access_tokens.path)) as running:
        yield running


def requests_in(server: Server, count: int) -> list[dict[str, Any]]:
    """The lines of requests, once there are so many."""
    assert wait_until(lambda: len(lines_of(server)) >= count), lines_of(server)
    lines = [json.loads(line) for line in lines_of(server)]
    return [line for line in lines if line["logger"] == "labeld.requests"]


def test_a_request_is_a_line(logged: Server, access_tokens: AccessTokens) -> None:
    """With all that is asked about afterwards: when, who, what, of which model, how long, how it went."""
    name = '"}{"key_name": "<b>世'
    headers = {"authorization": f"Bearer {access_tokens.tokens[name]}", "x-request-id": "mine-1"}
    path, body = (
        "/pipeline/text-classification/language-20",
        {"inputs": [SECRET_TEXT, {"text": "ab", "text_pair": "c"}]},
    )
    for _ in range(2):
        assert 200 == logged.post(path, json=body, headers=headers).status_code
    computed, cached = requests_in(logged, 2)

    assert {
        "level": "info",
        "request_id": "mine-1",
        "method": "POST",
        "route": "/pipeline/{task}/{model_id}",
        "model": "labeld/language-20",
        "status": 200,
        "token_id": access_tokens.ids[name],
        "token_name": name,
        "texts": 2,
        "characters": len(SECRET_TEXT) + 3,
        "compute_type": "cpu",
    }.items() <= computed.items()
    assert ("cache", "inputs" in cached) == (cached["compute_type"], False)
    assert 0 < cached["milliseconds"] < computed["milliseconds"]
    assert computed["time"].startswith("20")
    assert computed["time"].endswith("+00:00")


def test_refusals_are_lines_too(logged: Server, access_tokens: AccessTokens) -> None:
    """Whatever refused it: the token, the host, another site, the router, the model, the connection."""
    good = f"authorization: Bearer {access_tokens.tokens['user']}"
    asked = [
        ("POST /", ("host: localhost",), 401),
        ("GET /health", ("host: evil.example",), 403),
        ("GET /health", ("host: localhost", "origin: null"), 403),
        ("GET /nowhere", ("host: localhost",), 404),
        ("PUT /", ("host: localhost",), 405),
        ("POST /models/org/none", ("host: localhost", good, "content-length: 2"), 404),
        ("GET /health", ("host: localhost", "x-long: " + "a" * 20_000), 431),
    ]
    for line, fields, status in asked:
        assert status == raw(logged, line, *fields).status
    lines = requests_in(logged, len(asked))

    assert [status for *_, status in asked] == [line["status"] for line in lines]
    assert all("evil" not in json.dumps(line) and "org/none" not in json.dumps(line) for line in lines)
    assert [None] == [line["model"] for line in lines if line.get("route", "").startswith("/models")]


def test_a_thousand_hostile_payloads_forge_no_line(access_tokens: AccessTokens, tmp_path: Path) -> None:
    """In the path, the query, the headers, the model's name and the texts: one line each, which is JSON in ASCII."""
    sent = payloads(1000)
    with serving(tmp_path, "--log-format", "json", "--log-texts", LABELD_TOKENS_DB=str(access_tokens.path)) as server:
        server.session.headers["authorization"] = f"Bearer {access_tokens.tokens['user']}"
        for number, payload in enumerate(sent):
            path = quote(payload.encode("utf-8", "replace"), safe="")
            query = f"?{path}" if number % 2 else ""
            plain = payload.encode("ascii", "ignore").decode()
            printable = "".join(one for one in plain if one.isprintable()).strip()[:200]
            headers = {"x-request-id": printable, "user-agent": f"hf_{'a' * 34} {printable}", "x-load-model": "1"}
            where = ("/models/" + path, "/" + path, "/", f"/pipeline/{path}/x")[number % 4]
            server.post(where + query, json={"inputs": payload, payload: payload}, headers=headers)
        lines = requests_in(server, len(sent))
        assert len(sent) == len(lines) == len(lines_of(server))

    assert {"info"} == {line["level"] for line in lines}
    assert {"request"} == {line["message"] for line in lines}
    texts = [line["inputs"] for line in lines if line["status"] == 200]
    assert len(texts) > 200
    assert all(len(line) == 1 for line in texts)
    whole = server.log.read_bytes()
    assert not [byte for byte in whole if (byte < 32 and byte != 10) or byte > 126]
    assert {"/", "/models/{model_id}", "/pipeline/{task}/{model_id}"} <= {line["route"] for line in lines}


def test_neither_tokens_nor_texts_are_written_down(logged: Server, access_tokens: AccessTokens) -> None:
    """Wherever a client puts them: the header, the address, the body, its request's id, the model's name."""
    texts = [*access_tokens.tokens.values(), *access_tokens.dead.values(), SECRET_TEXT.replace(" ", "-")]
    for text in texts:
        for headers in ({"authorization": f"Bearer {text}"}, {"authorization": text}, {"x-api-key": text}):
            ids = {"x-request-id": text} if text.startswith("hf_") else {}
            logged.post("/", json={"inputs": [text, SECRET_TEXT]}, headers=headers | ids)
            logged.post(f"/models/{text}?token={text}", data=text, headers=headers)
            logged.get(f"/{text}")
            logged.session.get(f"{logged.url}/api/whoami-v2?{text}", headers=headers, timeout=60)
            logged.get(f"/api/models/{text}")
    requests_in(logged, len(texts) * 15)
    whole = logged.log.read_text()

    assert [] == [text for text in {*texts, SECRET_TEXT} if text != "hf_abc" and text in whole]


def test_texts_are_written_down_where_that_is_asked_for(tmp_path: Path) -> None:
    """But what looks like an access token is blanked there as well."""
    token = "hf_" + "a1B2" * 9
    with serving(tmp_path, "--log-format", "json", "--log-texts") as server:
        server.post("/", json={"inputs": [f"my token is {token}", {"text": "a", "text_pair": "b"}]})
        [line] = requests_in(server, 1)

    assert [["my token is hf_***", ["a", "b"]]] == [line["inputs"]]


def test_everything_is_json_where_that_is_asked_for(models_dir: Path, tmp_path: Path) -> None:
    """The line that says that the server is there, warnings, and what stops the start."""
    (tmp_path / "models/org/broken").mkdir(parents=True)
    (tmp_path / "models/org/broken/config.json").write_text("{")
    with serving(tmp_path, "--models-dir", str(tmp_path / "models"), "--log-format", "json") as server:
        assert wait_until(lambda: lines_of(server))
        [warning] = [json.loads(line) for line in lines_of(server)]
        assert 200 == server.get("/health").status_code
    failed = run_labeld("serve", "org/none", "--log-format", "json")

    assert ("warning", True) == (warning["level"], "org/broken cannot be served" in warning["message"])
    assert ["error"] * len(failed.stderr.splitlines()) == [
        json.loads(one)["level"] for one in failed.stderr.splitlines()
    ]
    assert "Model org/none does not exist" in failed.stderr


def test_by_default_requests_are_not_written_down(tmp_path: Path) -> None:
    """Only warnings are, for people."""
    with serving(tmp_path) as server:
        server.classify(SECRET_TEXT, "labeld/sentiment-en")
        server.get("/nowhere")

    assert "" == server.log.read_text()


def test_a_client_that_leaves_is_a_line(logged: Server, access_tokens: AccessTokens) -> None:
    """As is every request that was taken in."""
    with suppress(requests.exceptions.ReadTimeout):
        requests.post(
            logged.url + "/",
            json={"inputs": ["a b c d e f g"] * 250},
            headers={"authorization": f"Bearer {access_tokens.tokens['user']}"},
            timeout=(60, 0.02),
        )
    [line] = requests_in(logged, 1)

    assert line["status"] in {200, 503}


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_messages_and_exceptions_forge_no_line(formatter: logging.Formatter) -> None:
    """In either form: what stands in a message or an exception begins no line of its own, and rings no bell."""
    stream = io.StringIO(newline="")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger(f"labeld.test.{type(formatter).__name__}")
    logger.addHandler(handler)
    logger.propagate = False
    sent = payloads(200)
    for payload in sent:
        logger.warning("the model %s is odd", payload)
        try:
            raise ValueError(payload)
        except ValueError:
            logger.exception("a request failed")
    written = stream.getvalue()
    lines = written.split("\n")[:-1]
    begun = [line for line in lines if not line.startswith("  ")]

    assert 2 * len(sent) == len(begun)
    assert all(line.isprintable() for line in lines)
    assert "hf_***" in formatter.format(logging.makeLogRecord({"msg": f"hf_{'a' * 34}"}))
    if isinstance(formatter, JsonFormatter):
        assert begun == lines
        assert all("ValueError" in json.loads(line)["traceback"] for line in lines[1::2])


def test_the_form_is_chosen_once_for_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    """The ready line has the form of the log."""
    logs.announce("labeld answers", "text")
    logs.announce("labeld answers", "json")
    text, line = capfd.readouterr().out.splitlines()

    assert ("labeld answers", "labeld answers") == (text, json.loads(line)["message"])


def test_what_a_library_writes_itself_is_a_line_of_json(tmp_path: Path) -> None:
    """A tokenizer whose pattern backtracks panics on file descriptor 2, and the log stays JSON to its last line."""
    folder = tmp_path / "models" / "org" / "backtracks"
    shutil.copytree(BUNDLED / DEFAULT_MODEL, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = split
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((folder / "tokenizer_config.json").read_bytes())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with serving(tmp_path, "--log-format", "json", "--models-dir", str(tmp_path / "models")) as server:
        reply = server.post("/models/org/backtracks", json={"inputs": "a" * 4000 + "!"})
        log = tmp_path / "stderr"
        assert wait_until(lambda: "labeld.stderr" in log.read_text(), 10), log.read_text()
        metrics = server.get("/metrics").text

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert (500, "application/json") == (reply.status_code, reply.headers["content-type"])
    assert "tokenizer failed" in reply.json()["error"]
    assert [500] == [one["status"] for one in lines if one.get("request_id") == reply.headers["x-request-id"]]
    assert 'labeld_requests_total{route="/models/{model_id}",status="500"} 1.0' in metrics
    assert any("panicked" in line["message"] for line in lines if line["logger"] == "labeld.stderr")


def test_the_name_of_a_setting_is_no_token() -> None:
    """Though it has the form of one that was cut."""
    record = logging.LogRecord("labeld", logging.ERROR, "", 0, "hf_endpoint is 'foo', not hf_abcdEFGH1234", None, None)

    assert "hf_endpoint is 'foo', not hf_***" in TextFormatter().format(record)
