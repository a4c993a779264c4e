"""The models of the settings `reranker` and `zero_shot`: loaded at the start, and what clients are told of them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dialect_bodies import NLI
from tests.support.server_process import Server, serving

TAGGED, PLAIN, NAMED = NLI
"""An NLI model whose card names the task, one whose card does not, and that of the setting."""
ZERO_SHOT, CLASSIFYING, RANKING = "zero-shot-classification", "text-classification", "text-ranking"


@pytest.fixture(scope="module")
def roles(dialect_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with both, of which one is an alias, and with a card."""
    folder = tmp_path_factory.mktemp("roles")
    root = shutil.copytree(dialect_models, folder / "models")
    (root / TAGGED / "README.md").write_text(f"---\npipeline_tag: {ZERO_SHOT}\n---\n")
    (root / "org/one-label/README.md").write_text(f"---\npipeline_tag: {RANKING}\n---\n")
    (root / "org/bert/README.md").write_text(f"---\npipeline_tag: {ZERO_SHOT}\n---\n")
    (folder / "labeld.yaml").write_text(
        f"zero_shot: {NAMED}\nmodels:\n  told: {{model: org/bert, rename: {{positive: entailment}}}}\n"
    )
    arguments = ("org/bert", "--models-dir", str(root), "--reranker", "org/one-label")
    with serving(folder, *arguments, "--config", str(folder / "labeld.yaml")) as server:
        yield server


def test_they_are_loaded_at_the_start(roles: Server) -> None:
    """So that the first request of clients that do not ask again is answered; no other model is."""
    assert ["Loaded", "Loaded", "Loadable"] == [
        roles.get(f"/status/{name}").json()["state"] for name in ("org/one-label", NAMED, PLAIN)
    ]


def test_one_that_cannot_be_loaded_is_logged(dialect_models: Path, tmp_path: Path) -> None:
    """With the reason, and the server answers by its other models."""
    root = tmp_path / "models"
    shutil.copytree(dialect_models / "org/bert", root / "org/broken")
    (root / "org/broken/model.safetensors").write_bytes(b"nothing")
    with serving(tmp_path, "--models-dir", str(root), "--reranker", "org/broken") as server:
        assert 200 == server.post("/", json={"inputs": "good"}).status_code

        assert "org/broken is not loaded at the start: " in server.log.read_text()


def test_info_is_that_of_a_reranker(roles: Server) -> None:
    """By the names of TEI, whose clients ask it without a model's name and rank only by what is called so."""
    reranker, classifier = roles.get("/info").json(), roles.get("/models/org/bert/info").json()

    assert ("org/one-label", {"reranker"}, 1000) == (
        reranker["model_id"],
        reranker["model_type"].keys(),
        reranker["max_client_batch_size"],
    )
    [name] = reranker["model_type"]["reranker"]["id2label"].values()
    assert {name: 0} == reranker["model_type"]["reranker"]["label2id"]
    assert {"classifier"} == classifier["model_type"].keys()
    assert {"negative": 0, "neutral": 1, "positive": 2} == classifier["model_type"]["classifier"]["label2id"]


def test_the_task_by_which_clients_choose(roles: Server) -> None:
    """That of a card or of a setting, where the model can do it; text-classification else."""
    found = {
        name: roles.get(f"/api/models/{name}?expand=pipeline_tag&expand=inferenceProviderMapping").json()
        for name in (TAGGED, NAMED, PLAIN, "org/one-label", "org/bert", "told")
    }

    tasks = {name: one["pipeline_tag"] for name, one in found.items()}
    assert {
        TAGGED: ZERO_SHOT,
        NAMED: ZERO_SHOT,
        PLAIN: CLASSIFYING,
        "org/one-label": CLASSIFYING,
        "org/bert": CLASSIFYING,
        "told": ZERO_SHOT,
    } == tasks
    assert tasks == {name: one["inferenceProviderMapping"]["hf-inference"]["task"] for name, one in found.items()}, (
        json.dumps(found)
    )


def test_models_are_found_by_all_their_tasks(roles: Server) -> None:
    """By `pipeline_tag` and by `filter`, whichever one they are offered by."""
    for query in ("pipeline_tag", "filter"):
        listed = {
            task: {one["id"] for one in roles.get(f"/api/models?author=org&{query}={task}").json()}
            for task in (ZERO_SHOT, RANKING, CLASSIFYING)
        }

        assert {*NLI} == listed[ZERO_SHOT]
        assert {*NLI, "org/one-label"} == listed[RANKING]
        assert {*NLI, "org/one-label", "org/bert"} < listed[CLASSIFYING]


def test_each_task_recommends_its_model(roles: Server) -> None:
    """The default one, and that of the setting."""
    found = roles.get("/api/tasks").json()

    assert {CLASSIFYING: ["org/bert"], ZERO_SHOT: [NAMED]} == {name: one["widgetModels"] for name, one in found.items()}
    assert [NAMED] == [one["id"] for one in found[ZERO_SHOT]["models"]]
