"""The corpus of inputs that were interesting once, and a judge that notices what is wrong with a reply."""

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from reliability.checks.fuzz import Found, application, ask_all, read_corpus
from reliability.faults import planted
from reliability.lib.application import Reply
from reliability.lib.grammar import Grammar
from reliability.lib.inputs import Input
from reliability.lib.judge import Judge
from reliability.lib.models import tiny_models

pytestmark = pytest.mark.slow

JSON = [(b"content-type", b"application/json")]
ASKED = Input("POST", "/models/org/bert", [(b"host", b"localhost")], [b"{}"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that inputs name."""
    return tiny_models(tmp_path_factory.mktemp("models"))


def outcome(models: Path, folder: Path, inputs: list[Input], *, faulty: bool = False) -> Found:
    """What many inputs come to."""

    async def run() -> Found:
        async with application(models, folder) as asked:
            return await ask_all(asked, inputs, {})

    with planted("fuzz") if faulty else nullcontext():
        return asyncio.run(run())


def generated(count: int, seed: int) -> list[Input]:
    """Inputs of the grammar."""
    from tests.support.dialect_bodies import BODIES  # imports torch, which takes seconds

    grammar = Grammar(seed, BODIES)
    return [grammar() for _ in range(count)]


def test_the_corpus(models: Path, tmp_path: Path) -> None:
    """Every input of it is answered as it is documented."""
    corpus = read_corpus()
    found = outcome(models, tmp_path, corpus)

    assert len(corpus) > 100
    assert found.asked == len(corpus)
    assert {} == found.verdicts.first
    assert found.statuses >= 6


def test_new_inputs(models: Path, tmp_path: Path) -> None:
    """Some that chance makes are, too; with the seeded fault not all of them are."""
    inputs = generated(300, seed=5)

    assert {} == outcome(models, tmp_path / "good", inputs).verdicts.first
    assert outcome(models, tmp_path / "faulty", inputs, faulty=True).verdicts.counts["traceback"] > 0


def test_the_same_seed_makes_the_same_inputs() -> None:
    """And a line of the corpus is read back as it was."""
    inputs = generated(200, seed=1)

    assert inputs == generated(200, seed=1)
    assert inputs != generated(200, seed=2)
    assert [one.body for one in inputs] == [Input.from_json(one.as_json()).body for one in inputs]


def reply(status: int, value: Any, headers: Any = JSON) -> Reply:
    """A reply with this body."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(status, headers, body, is_whole=True)


@pytest.mark.parametrize(
    ("target", "given", "wrong"),
    [
        ("/models/org/bert", reply(200, []), []),
        ("/models/org/bert", reply(400, {"error": "It is wrong."}), []),
        ("/models/org/bert", reply(418, {"error": "It is a teapot."}), ["status"]),
        ("/nothing", reply(404, {"error": "There is nothing."}), []),
        ("/nothing", reply(500, {"error": "It failed."}), ["status"]),
        ("/models/org/bert", reply(400, {"message": "It is wrong."}), ["shape"]),
        ("/models/org/bert", reply(400, b"<html>"), ["shape"]),
        ("/models/org/bert", reply(200, b"[NaN]"), ["shape"]),
        ("/rerank", reply(422, {"error": "It is wrong.", "error_type": "Validation"}), []),
        ("/rerank", reply(422, {"error": "It is wrong."}), ["shape"]),
        ("/score", reply(400, {"error": "It is wrong."}), ["shape"]),
        ("/models/org/bert", reply(400, {"error": "No such file: /tmp/x"}), ["inner words"]),
        ("/models/org/bert", Reply(200, JSON, b"", is_whole=False), ["broken"]),
        ("/models/org/bert", reply(200, [], [*JSON, (b"content-length", b"99")]), ["broken"]),
        ("/models/org/bert", reply(200, [], [*JSON, (b"x-a", b"a\r\nb: c")]), ["broken"]),
    ],
)
def test_the_judge(target: str, given: Reply, wrong: list[str]) -> None:
    """It knows what is documented, the shape of each dialect, and what a client must never see."""
    assert wrong == [*Judge().wrong(ASKED._replace(target=target), given)]
