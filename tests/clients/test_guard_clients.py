"""The clients of guardrails that people use, unmodified, as processes of their own against a real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.test_clients import ask, script
from tests.support.client_packages import python_with
from tests.support.server_process import Server, configured

FILE = """\
models:
  sentiment: {model: labeld/sentiment-en, windows: {max_length: 32, stride: 8}}
policies:
  default: {models: {sentiment: {threshold: {NEGATIVE: 0.9}, categories: {NEGATIVE: harassment}}}}
  wrong: {models: {labeld/sentiment-en: {threshold: {toxic: 0.5}}}}
"""
BAD, GOOD = "I hate you, you are awful, terrible, disgusting and worthless.", "I love this lovely film."


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with these policies."""
    folder = tmp_path_factory.mktemp("guard-clients")
    with configured(folder, FILE) as server:
        yield server


def answers(package: str, questions: list[dict[str, Any]], *arguments: str) -> list[Any]:
    """The output of the script of a package for these questions; it asks nobody else."""
    command = script(f"{package}_client.py", *arguments, python=python_with(package))
    return ask(command, questions, LITELLM_LOCAL_MODEL_COST_MAP="True")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_moderation_by_openais_client(guard: Server, kind: str) -> None:
    """Its typed result has every category, and its exceptions have our sentences."""
    long = f"{GOOD} " * 200 + " ".join([BAD] * 3)
    questions: list[dict[str, Any]] = [
        {"input": BAD},
        {"input": GOOD, "model": "omni-moderation-latest"},
        {"input": [{"type": "text", "text": long}], "model": "default"},
        {"input": []},
        {"input": BAD, "model": "wrong"},
        {"input": BAD, "model": "org/none"},
    ]
    bad, good, at_the_end, *failed = answers("openai", questions, kind, guard.url)

    assert [("default", True), ("default", False), ("default", True)] == [
        (one["model"], one["flagged"]) for one in (bad, good, at_the_end)
    ]
    assert (True, True) == (bad["score"] > 0.9, 0 < good["score"] < 0.1)
    assert ["BadRequestError", "InternalServerError", "NotFoundError"] == [one["error"] for one in failed]
    assert "Model org/none does not exist" == failed[2]["message"]


def test_the_guardrail_of_litellm(guard: Server) -> None:
    """It blocks with our reason, lets everything else through, and nothing where a policy cannot be used."""
    questions = [{"texts": [GOOD, BAD]}, {"texts": [GOOD]}, {"texts": []}, {"texts": [GOOD], "policy": "wrong"}]
    blocked, passed, empty, failed = answers("litellm", questions, guard.url)

    assert f"characters 0 to {len(BAD)} of text 2." in blocked["blocked"]
    assert ([GOOD], []) == (passed["texts"], empty["texts"])
    assert "500" in failed["failed"]
