"""Client packages ask by a model's id for what it can do: they ask the look-ups before, and refuse what those deny."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_clients import CLIENTS, ask, script
from tests.support.dialect_bodies import LABELS, NLI, build_models
from tests.support.rankings import same
from tests.support.server_process import NO_CACHE, Server, serving
from tests.support.tls_front import tls_front

TEXT = "the market rose and it was very good"
TAGGED, PLAIN, NAMED = NLI


@pytest.fixture(scope="module")
def nli_server(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of NLI models: one whose card has the task, one without, and that of the setting `zero_shot`."""
    folder = tmp_path_factory.mktemp("nli")
    root = shutil.copytree(models_dir, folder / "models")
    build_models(root)
    (root / TAGGED / "README.md").write_text("---\npipeline_tag: zero-shot-classification\n---\n")
    arguments = ("org/bert", "--models-dir", str(root), *NO_CACHE, "--zero-shot", NAMED)
    with serving(folder, *arguments, "--hosts", "router.huggingface.co") as running:
        yield running


def by_url(server: Server, model: str) -> list[dict[str, Any]]:
    """The labels of the text, best first, as the server itself says them."""
    body = {"inputs": TEXT, "parameters": {"candidate_labels": LABELS}}
    reply = server.post(f"/models/{model}", json=body, headers={"x-wait-for-model": "true"})
    assert 200 == reply.status_code, reply.text
    found: list[dict[str, Any]] = reply.json()
    return found


def test_the_newest_hub_client(nli_server: Server, tmp_path: Path) -> None:
    """Zero-shot by a model that a card or the setting offers for it, and by none; classification by the others."""
    zero_shot = {"text": TEXT, "candidate_labels": LABELS}
    questions: list[dict[str, Any]] = [
        {**zero_shot, "client": {"model": TAGGED}},
        {**zero_shot, "client": {"model": NAMED}},
        {**zero_shot, "client": {"provider": "hf-inference"}},
        {"text": TEXT, "client": {"model": PLAIN}},
        {"text": TEXT, "client": {"model": "org/bert"}},
        {**zero_shot, "client": {"model": PLAIN}},
    ]
    with tls_front(nli_server.address, "router.huggingface.co", tmp_path) as front:
        *answers, refused = ask(
            script("hub_client.py"),
            questions,
            HF_ENDPOINT=nli_server.url,
            HF_HOME=str(tmp_path),
            LABELD_TEST_ROUTER=str(front.port),
            PYTHONPATH=str(CLIENTS / "resolver"),
            SSL_CERT_FILE=str(front.authority),
        )

    expected = [by_url(nli_server, model) for model in (TAGGED, NAMED, NAMED)]
    expected += [nli_server.classify(TEXT, model)[0] for model in (PLAIN, "org/bert")]
    same(answers, expected)
    assert "doesn't support task 'zero-shot-classification'" in refused["text"]


def test_the_newest_javascript_client(nli_server: Server, node: list[str]) -> None:
    """As the one in Python."""
    zero_shot = {"inputs": TEXT, "parameters": {"candidate_labels": LABELS}}
    questions = [{**zero_shot, "model": TAGGED}, {**zero_shot, "model": NAMED}, {"inputs": TEXT, "model": PLAIN}]
    answers = ask([*node, "@huggingface/inference", "id", nli_server.url], questions)

    expected = [by_url(nli_server, model) for model in (TAGGED, NAMED)]
    same(answers, [*expected, nli_server.classify(TEXT, PLAIN)[0]])
