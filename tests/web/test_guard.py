"""Policies of the configuration file, asked by moderation, detector and guardrail over real HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from labeld.protocol.dialects.guard import CATEGORIES
from tests.support.access_tokens import AccessTokens
from tests.support.paths import PACKAGE
from tests.support.server_process import PATIENT, Server, configured, serving, wait_until

FILE = """\
models:
  short: {model: labeld/sentiment-en, windows: {max_length: 32, stride: 8}, rename: {NEGATIVE: negative}}
  wide: {model: labeld/sentiment-en, windows: {stride: 600}}
policies:
  default: {models: {short: {threshold: {negative: 0.9}, categories: {negative: harassment}}}}
  both:
    models:
      labeld/sentiment-en: {threshold: 0.9, safe_labels: [POSITIVE]}
      labeld/language-20: {threshold: {de: 0.5}}
  wrong: {models: {labeld/sentiment-en: {threshold: {toxic: 0.5}}}}
  absent: {models: {labeld/sentiment-en: {}, org/none: {}}}
  wide: {models: {wide: {threshold: {NEGATIVE: 0.9}}}}
"""
MODERATION, DETECTOR, LITELLM = "/v1/moderations", "/api/v1/text/contents", "/beta/litellm_basic_guardrail_api"
MEMBERS = {MODERATION: "input", DETECTOR: "contents", LITELLM: "texts"}
GOOD, BAD = "I love this lovely film. ", "I hate you, you are awful, terrible, disgusting and worthless."
WORST = " ".join([BAD] * 3)
LONG = "\N{GRINNING FACE} " + "Wonderful performances, beautiful photography. " * 1100 + WORST
"""In words of many characters a token, which is less to compute."""


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with these policies."""
    folder = tmp_path_factory.mktemp("guard")
    with configured(folder, FILE, *PATIENT) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without policies."""
    with serving(tmp_path_factory.mktemp("plain")) as server:
        yield server


def ask(server: Server, path: str, texts: Any, policy: str | None = None, **more: Any) -> requests.Response:
    """Texts checked by a policy, named as each dialect names it."""
    body, headers = {MEMBERS[path]: texts, **more}, {}
    if policy is not None and path == DETECTOR:
        headers["detector-id"] = policy
    elif policy is not None:
        body |= {"model": policy} if path == MODERATION else {"additional_provider_specific_params": {"policy": policy}}
    return server.post(path, json=body, headers=headers)


def sentence(path: str, reply: requests.Response) -> str:
    """The sentence of an error, which has the shape of its dialect."""
    value = reply.json()
    if path == MODERATION:
        assert {"message", "type", "param", "code"} == value["error"].keys()
        return str(value["error"]["message"])
    if path == DETECTOR:
        assert {"code", "message"} == value.keys()
        assert reply.status_code == value["code"]
        return str(value["message"])
    return str(value["error"])


def is_flagged(path: str, reply: requests.Response) -> bool:
    """Whether anything is flagged in the only text of a request."""
    assert 200 == reply.status_code, reply.text
    value = reply.json()
    if path == MODERATION:
        return bool(value["results"][0]["flagged"])
    return bool(value[0]) if path == DETECTOR else value["action"] == "BLOCKED"


def test_the_examples_of_the_description_are_answered(guard: Server) -> None:
    """A person who copies one has an answer."""
    described = guard.get("/openapi.json").json()["paths"]
    for path in MEMBERS:
        body = described[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        reply = guard.post(path, json=body)
        assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("path", MEMBERS)
def test_the_end_of_a_long_text_counts(guard: Server, path: str) -> None:
    """What is said after 50,000 characters is found, and without it nothing is."""
    assert 50_000 < len(LONG)
    assert is_flagged(path, ask(guard, path, [LONG]))
    assert not is_flagged(path, ask(guard, path, [LONG.removesuffix(WORST)]))


def test_a_span_is_the_window_in_which_something_is(guard: Server) -> None:
    """In characters as Python counts them, and near what was found; windows that overlap are one span."""
    reply = ask(guard, DETECTOR, [LONG, GOOD, BAD])
    (span,), nothing, (short,) = reply.json()

    assert (LONG[span["start"] : span["end"]], len(LONG)) == (span["text"], span["end"])
    assert span["text"].endswith(BAD)
    assert len(span["text"]) < 500
    assert ("negative", "harassment", 0.9) <= (span["detection"], span["detection_type"], span["score"])
    assert [] == nothing
    assert (0, len(BAD), BAD) == (short["start"], short["end"], short["text"])
    assert int(reply.headers["x-windows"]) > 200


def test_moderation_has_every_category_and_those_of_the_policy(guard: Server) -> None:
    """Scores are those of the best window, as the model gives them; OpenAI's own models mean the default policy."""
    score = next(one["score"] for one in guard.classify(LONG, "short")[0] if one["label"] == "negative")
    for model in (None, "default", "omni-moderation-latest", "text-moderation-stable"):
        value = ask(guard, MODERATION, LONG, model).json()
        (result,) = value["results"]

        assert ("default", "modr-") == (value["model"], value["id"][:5])
        assert {**dict.fromkeys(CATEGORIES, 0.0), "harassment": score} == result["category_scores"]
        assert ({"harassment"}, True) == (
            {name for name, one in result["categories"].items() if one},
            result["flagged"],
        )
        assert set(CATEGORIES) == result["categories"].keys() == result["category_applied_input_types"].keys()


def test_several_models_read_every_text(guard: Server) -> None:
    """Labels without a category are in the reply under their own names; headers count the work of all."""
    first, again = (ask(guard, MODERATION, [BAD, "Das ist ein schöner Tag.", GOOD], "both") for _ in range(2))
    flagged = [{name for name, one in result["categories"].items() if one} for result in first.json()["results"]]

    assert [{"NEGATIVE"}, {"de"}, set()] == flagged
    assert {*CATEGORIES, "NEGATIVE", "de"} == first.json()["results"][2]["category_scores"].keys()
    tokens = {model: guard.post(f"/models/{model}", json={"inputs": BAD + "!"}) for model in ("short", "language-20")}
    both = ask(guard, MODERATION, BAD + "!", "both", headers={})
    assert "cpu" == first.headers["x-compute-type"]
    assert "cache" == again.headers["x-compute-type"]
    assert first.json()["results"] == again.json()["results"]
    assert int(both.headers["x-compute-tokens"]) == sum(int(one.headers["x-compute-tokens"]) for one in tokens.values())
    assert ("x-sha" in ask(guard, MODERATION, BAD).headers, "x-sha" in both.headers) == (True, False)


def test_parts_are_one_input(guard: Server) -> None:
    """As of a message with several parts: one result, flagged for any of them."""
    parts = [{"type": "text", "text": GOOD}, {"type": "text", "text": BAD}]

    (result,) = ask(guard, MODERATION, parts).json()["results"]
    assert result["flagged"]
    assert [False, True] == [one["flagged"] for one in ask(guard, MODERATION, [GOOD, BAD]).json()["results"]]


def test_a_model_instead_of_a_policy(guard: Server) -> None:
    """With 0.5 for every label, or with the detector's parameters."""
    assert ["NEGATIVE"] == [one["detection"] for one in ask(guard, DETECTOR, [BAD], "labeld/sentiment-en").json()[0]]
    assert ["POSITIVE"] == [one["detection"] for one in ask(guard, DETECTOR, [GOOD], "sentiment-en").json()[0]]
    for params, found in (
        ({"safe_labels": ["POSITIVE"]}, []),
        ({"safe_labels": [1]}, []),
        ({"threshold": 0.999}, []),
        ({"threshold": 0.0}, ["NEGATIVE", "POSITIVE"]),
        ({"label_thresholds": {"NEGATIVE": 0.01}}, ["NEGATIVE"]),
        ({"threshold": 1, "label_thresholds": {"NEGATIVE": 0.01}}, ["NEGATIVE"]),
        ({}, ["POSITIVE"]),
    ):
        reply = ask(guard, DETECTOR, [GOOD], "sentiment-en", detector_params=params)
        assert found == [one["detection"] for one in reply.json()[0]], params
    assert "labeld/sentiment-en" == ask(guard, MODERATION, BAD, "labeld/sentiment-en").json()["model"]


def test_a_reason_says_where_and_not_what(guard: Server) -> None:
    """Category, score and characters of each text, never the text."""
    value = ask(guard, LITELLM, [GOOD, BAD], input_type="request").json()

    assert f"characters 0 to {len(BAD)} of text 2." in value["blocked_reason"]
    assert "harassment 0.9" in value["blocked_reason"]
    assert "awful" not in value["blocked_reason"]
    many = ask(guard, LITELLM, [f"{BAD} {number}" for number in range(20)]).json()["blocked_reason"]
    assert (5, True) == (many.count("of text"), many.endswith(", and 15 more."))


def test_messages_count_where_there_are_no_texts(guard: Server) -> None:
    """With their parts; nothing to check is nothing to block."""
    messages = [
        {"role": "user", "content": GOOD},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": [{"type": "text", "text": BAD}]},
    ]
    for body, action in (
        ({"structured_messages": messages}, "BLOCKED"),
        ({"texts": [], "structured_messages": messages[:2]}, "NONE"),
        ({"texts": []}, "NONE"),
        ({"texts": ["", " "], "images": []}, "NONE"),
    ):
        assert action == guard.post(LITELLM, json=body).json()["action"], body


@pytest.mark.parametrize("path", MEMBERS)
@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (..., "is missing"),
        (None, "must be a list"),
        ({}, "must be a list"),
        (7, "must be a list"),
        ([None], "must be a string"),
        ([["a"]], "must be a string"),
        (["a", 7], "must be a string"),
        (["a"] * 1001, "more than the limit of 1000"),
        (["a"] * 100_000, "10000 strings"),
    ],
)
def test_what_is_no_list_of_texts(guard: Server, path: str, texts: Any, said: str) -> None:
    """Is refused in the shape of the dialect, and the next request is answered."""
    body = {} if texts is ... else {MEMBERS[path]: texts}
    reply = guard.post(path, json=body)

    assert (422 if path == DETECTOR else 400) == reply.status_code
    assert ("is missing" if path == LITELLM and texts is None else said) in sentence(path, reply)
    assert is_flagged(path, ask(guard, path, [BAD]))


@pytest.mark.parametrize(
    ("path", "more", "name"),
    [(DETECTOR, {"detector_params": {"regex": ["a"]}}, "detector_params.regex"), (MODERATION, {"rules": 1}, "rules")],
)
def test_a_member_that_means_nothing(guard: Server, path: str, more: dict[str, Any], name: str) -> None:
    """Is named by a header."""
    reply = ask(guard, path, [BAD], **more)

    assert reply.status_code == 200, reply.text
    assert reply.headers["x-hf-warning"].endswith(f": {name}")
    assert "x-hf-warning" not in ask(guard, path, [BAD]).headers


@pytest.mark.parametrize("path", MEMBERS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"input": NaN}', b"a text"])
def test_what_is_no_object(guard: Server, path: str, body: bytes) -> None:
    """Is refused in the shape of the dialect."""
    reply = guard.post(path, data=body, headers={"content-type": "application/json"})

    assert reply.status_code in {400, 422}
    assert sentence(path, reply)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (MODERATION, {"input": [{"type": "image_url", "image_url": {"url": "data:"}}]}, "'image_url'"),
        (MODERATION, {"input": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, "`input[1]`"),
        (MODERATION, {"input": [{"type": "text", "text": "a"}, "b"]}, "`input[1]` must be an object"),
        (MODERATION, {"input": [{"type": "text"}]}, "`input[0].text`"),
        (MODERATION, {"input": []}, "is empty"),
        (MODERATION, {"input": "a", "model": 7}, "`model` must be a string"),
        (DETECTOR, {"contents": []}, "is empty"),
        (DETECTOR, {"contents": "a"}, "must be a list"),
        (DETECTOR, {"contents": ["a"], "detector_params": []}, None),
        (DETECTOR, {"contents": ["a"], "detector_params": [1]}, "`detector_params` must be an object"),
        (DETECTOR, {"contents": ["a"], "detector_params": {"threshold": "0.5"}}, "detector_params.threshold"),
        (DETECTOR, {"contents": ["a"], "detector_params": {"threshold": 2}}, "from 0 to 1"),
        (DETECTOR, {"contents": ["a"], "detector_params": {"label_thresholds": [1]}}, "must be an object"),
        (DETECTOR, {"contents": ["a"], "detector_params": {"label_thresholds": {"toxic": 0.5}}}, "'toxic'"),
        (DETECTOR, {"contents": ["a"], "detector_params": {"safe_labels": [{}]}}, "must be a label"),
        (LITELLM, {"texts": ["a"], "images": ["data:"]}, "`images`"),
        (LITELLM, {"structured_messages": "a"}, "must be a list of messages"),
        (LITELLM, {"structured_messages": ["a"]}, "`structured_messages[0]` must be an object"),
        (LITELLM, {"structured_messages": [{"content": [{"type": "image_url"}]}]}, "'image_url'"),
        (LITELLM, {"texts": ["a"], "additional_provider_specific_params": {"policy": 7}}, "policy"),
    ],
)
def test_wrong_members(guard: Server, path: str, body: dict[str, Any], said: str | None) -> None:
    """Are named; images are refused, because nobody would check them."""
    reply = guard.post(path, json=body)

    if said is None:
        assert 200 == reply.status_code
        return
    assert (422 if path == DETECTOR else 400) == reply.status_code
    assert said in sentence(path, reply)


@pytest.mark.parametrize("path", MEMBERS)
@pytest.mark.parametrize(
    ("policy", "status", "said"),
    [
        ("wrong", 500, "have no label 'toxic', only NEGATIVE, POSITIVE"),
        ("absent", 404, "Model org/none does not exist"),
        ("org/nobody", 404, "Model org/nobody does not exist"),
    ],
)
def test_a_policy_that_cannot_be_used_lets_nothing_through(
    guard: Server, path: str, policy: str, status: int, said: str
) -> None:
    """One model that fails is enough, and its sentence is the answer."""
    reply = ask(guard, path, [GOOD], policy)

    assert status == reply.status_code
    assert said in sentence(path, reply)


@pytest.mark.parametrize("path", [DETECTOR, LITELLM])
def test_a_policy_that_nobody_has(guard: Server, path: str) -> None:
    """The sentence names those that there are."""
    reply = ask(guard, path, [GOOD], "nothing")

    assert 404 == reply.status_code
    assert "no policy and no model 'nothing': name one of default, both, wrong, absent, wide." in sentence(path, reply)


@pytest.mark.parametrize("path", MEMBERS)
def test_without_policies(plain: Server, path: str) -> None:
    """The sentence says how to add one; a model that is served answers."""
    none, unknown = ask(plain, path, [BAD]), ask(plain, path, [BAD], "nothing")

    assert (404, 404) == (none.status_code, unknown.status_code)
    assert "This server has no policy: add one" in sentence(path, none)
    assert "the guide Guard in labeld's documentation" in sentence(path, unknown)
    assert is_flagged(path, ask(plain, path, [BAD], "sentiment-en"))


def state(server: Server, model: str) -> str:
    """The state of a model, in the words of the hosted API."""
    return str(server.get(f"/status/{model}").json()["state"])


def test_the_models_of_policies_are_loaded_at_the_start(tmp_path: Path) -> None:
    """So that the first request waits for none of them; what is broken or absent is logged, and others answer."""
    broken = tmp_path / "models/org/broken"
    shutil.copytree(PACKAGE / "bundled/labeld/emotions-28", broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    file = f"{FILE}  broken: {{models: {{labeld/sentiment-en: {{}}, org/broken: {{}}}}}}\n"
    with configured(tmp_path, file, "--models-dir", str(tmp_path / "models"), LABELD_LOAD_GRACE="0") as server:
        assert ["Loaded", "Loadable"] == [state(server, f"labeld/{one}") for one in ("language-20", "emotions-28")]
        assert is_flagged(MODERATION, ask(server, MODERATION, BAD, "both"))
        assert 500 == ask(server, MODERATION, BAD, "broken").status_code

        log = server.log.read_text()
        assert "org/broken is not loaded at the start: " in log
        assert "org/none is not loaded at the start: " in log


def test_a_model_that_loads_fails_the_whole_policy(tmp_path: Path) -> None:
    """503 with a time to come back, though the other model could answer; then both do."""
    with configured(tmp_path, FILE, "--idle-timeout", "1", LABELD_LOAD_GRACE="0") as server:
        assert wait_until(lambda: state(server, "labeld/language-20") == "Loadable")
        reply = ask(server, MODERATION, BAD, "both")

        assert (503, True) == (reply.status_code, int(reply.headers["retry-after"]) >= 1)
        assert "labeld/language-20 is currently loading" in sentence(MODERATION, reply)
        waited = server.post(MODERATION, json={"input": BAD, "model": "both"}, headers={"x-wait-for-model": "true"})
        assert is_flagged(MODERATION, waited)


@pytest.mark.parametrize("path", MEMBERS)
def test_a_caller_needs_every_model_of_the_policy(tmp_path: Path, path: str) -> None:
    """A token for one of two is refused in the shape of the dialect; without a token it is 401 there."""
    tokens = AccessTokens(tmp_path / "tokens.sqlite3")
    one, two = (
        tokens.make(str(len(models)), models=models)
        for models in (("labeld/sentiment-en",), ("labeld/sentiment-en", "labeld/language-20"))
    )
    with configured(tmp_path, FILE, "--tokens-db", str(tokens.path)) as server:
        assert 401 == ask(server, path, [BAD], "both").status_code
        server.session.headers["authorization"] = f"Bearer {one}"
        refused = ask(server, path, [BAD], "both")
        server.session.headers["authorization"] = f"Bearer {two}"

        assert 403 == refused.status_code
        assert "may not use the model labeld/language-20" in sentence(path, refused)
        assert is_flagged(path, ask(server, path, [BAD], "both"))
        assert 403 == ask(server, path, [BAD], "default").status_code  # whose model is the alias, by its own name


def test_the_log_names_the_policy(tmp_path: Path) -> None:
    """As the model that was asked, with the number of texts."""
    with configured(tmp_path, FILE, "--log-format", "json") as server:
        ask(server, MODERATION, [BAD, GOOD])
        server.stop()
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]

    (line,) = [one for one in lines if one.get("route") == MODERATION]
    assert ("default", 2, len(BAD + GOOD), 200) == (line["model"], line["texts"], line["characters"], line["status"])


def test_windows_that_cannot_be_read_in_do_not_block(guard: Server) -> None:
    """The text is read to its end in others, since a text that is cut would not be checked."""
    assert is_flagged(MODERATION, ask(guard, MODERATION, "Wonderful photography. " * 200 + f"{BAD} " * 30, "wide"))
