"""Clients of other servers, unmodified, each as a process of its own against a real server.

`TESTS_CLIENTS_PYTHON` is an interpreter that has their packages (the extra `clients`); by default this one is asked.
A client whose package is missing is skipped, or fails where `TESTS_REQUIRE_CLIENTS` is 1. With `TESTS_WRITE_MATRIX` the
rows of docs/reference/clients-matrix.md are written anew.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.clients.dialects.client import CLASSIFIER, CLIENTS, DOCUMENTS, LONG, MODEL, QUERY
from tests.support.client_packages import python_with
from tests.support.dialect_references import Reference
from tests.support.paths import ROOT
from tests.support.server_process import NO_CACHE, Server, serving

pytestmark = pytest.mark.minutes

PAGE = ROOT / "docs/reference/clients-matrix.md"
FEATURES = ("rank", "top", "documents", "raw", "long", "classify", "json", "probes", "error")
KNOWN_FAILURES = {
    ("litellm-infinity", "documents"): "no¹",
    ("litellm-huggingface", "long"): "no²",
    ("llama_index", "long"): "no²",
}
"""What a client cannot do here, with the note of the page that says why."""


@pytest.fixture(scope="session")
def ranker(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose default ranks, as clients need that name no model."""
    arguments = (MODEL, CLASSIFIER, "--models-dir", str(models_dir), *NO_CACHE)
    with serving(tmp_path_factory.mktemp("ranker"), *arguments) as running:
        yield running


@pytest.fixture(scope="session")
def truth(models_dir: Path) -> dict[str, Any]:
    """The answer to each feature by transformers; None where the answer is a sentence."""
    reranker, classifier = Reference(models_dir / MODEL), Reference(models_dir / CLASSIFIER)
    logits = [reranker.logits(QUERY, one)[0] for one in DOCUMENTS]
    order = sorted(range(len(DOCUMENTS)), key=lambda index: -logits[index])

    def close(values: list[float]) -> Any:
        return pytest.approx(values, abs=1e-5)

    rank = [[index, close(torch.tensor(logits[index]).sigmoid().item())] for index in order]
    probabilities = [close(classifier.probabilities(one)) for one in DOCUMENTS]
    return {
        "rank": rank,
        "top": rank[:2],
        "documents": [DOCUMENTS[index] for index in order],
        "raw": [[index, close(logits[index])] for index in order],
        "long": [[0, close(reranker.sigmoids(QUERY, [LONG], truncation=True)[0])]],
        "classify": probabilities,
        "json": probabilities,
        "probes": True,
    }


def asked(name: str, url: str) -> dict[str, Any]:
    """What a client got; skips where its package is missing."""
    package, _ = CLIENTS[name]
    script = ROOT / "tests/clients/dialects/client.py"
    command = [python_with(package), "-W", "ignore", str(script), name, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client(ranker: Server, truth: dict[str, Any], name: str) -> None:
    """Whatever it offers is answered as by transformers, and the page says so."""
    answer = asked(name, ranker.url)
    cells = {}
    for feature, got in answer["found"].items():
        if (name, feature) in KNOWN_FAILURES:
            assert "failed" in got, f"{feature} works now: take it out of KNOWN_FAILURES"
            cells[feature] = KNOWN_FAILURES[name, feature]
            continue
        assert "answer" in got, f"{feature}: {got['failed']}"
        if feature == "error":
            assert "org/nothing does not exist" in got["answer"] or "is empty" in got["answer"]
        else:
            assert got["answer"] == truth[feature], feature
        cells[feature] = "yes"
    row = f"| {name} {answer['version']} | {' | '.join(cells.get(one, '-') for one in FEATURES)} |"

    if os.environ.get("TESTS_WRITE_MATRIX"):
        write(name, row)
    assert row in PAGE.read_text().splitlines(), f"docs/reference/clients-matrix.md must have: {row}"


def write(name: str, row: str) -> None:
    """Puts a client's row into the page."""
    lines = PAGE.read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith(f"| {name} "))
    lines[number] = row
    PAGE.write_text("\n".join(lines) + "\n")


def test_the_page_has_a_row_for_every_client() -> None:
    """And no row of another one."""
    lines = PAGE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows = [line.split()[1] for line in lines[start + 1 :] if line.startswith("| ")]

    assert rows == list(CLIENTS)
    assert lines[start - 1] == f"| client | {' | '.join(FEATURES)} |"
