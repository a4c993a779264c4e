"""A model whose files were replaced is served anew within seconds."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.server_process import Server, serving, wait_until


def rename_labels(models: Path, new: Path) -> None:
    """Puts another folder in the place of org/bert, as an operator replaces a model."""
    shutil.copytree(models / "org/bert", new)
    config = json.loads((new / "config.json").read_text())
    config["id2label"] = {str(index): f"NEW_{index}" for index in range(3)}
    config["label2id"] = {f"NEW_{index}": index for index in range(3)}
    (new / "config.json").write_text(json.dumps(config))
    (models / "org/bert").rename(new.with_name("old"))
    new.rename(models / "org/bert")


def label(server: Server) -> str:
    """The first label of an answer."""
    return str(server.classify("a good film")[0][0]["label"])


def pages(server: Server) -> list[str]:
    """The model's page, for people and for programs."""
    return [
        server.session.get(f"{server.url}/models/org/bert", headers={"accept": kind}, timeout=60).text
        for kind in ("text/html", "application/json")
    ]


@pytest.mark.parametrize("named", [True, False])
def test_a_replaced_model_is_served_anew(named: bool, models_dir: Path, tmp_path: Path) -> None:
    """Its labels, its sha, `/info` and its page, and the log says so; one that was named at start is loaded at once."""
    models = tmp_path / "models"
    shutil.copytree(models_dir / "org/bert", models / "org/bert")
    first = "org/bert" if named else "labeld/sentiment-en"
    with serving(tmp_path, first, "--models-dir", str(models)) as server:
        before = server.post("/models/org/bert", json={"inputs": "x"}, headers={"x-wait-for-model": "true"})
        assert label(server) in {"negative", "neutral", "positive"}
        assert [True] * 2 == ["neutral" in page for page in pages(server)]
        rename_labels(models, tmp_path / "new")

        loads = server.get("/status").json()["counts"]["loads"]
        assert wait_until(lambda: "model org/bert was replaced" in server.log.read_text(), 12)
        if named:
            assert wait_until(lambda: server.get("/status").json()["counts"]["loads"] > loads)
        assert label(server).startswith("NEW_")
        after = server.post("/models/org/bert", json={"inputs": "x"})
        info = server.get("/models/org/bert/info").json()
        assert info["model_sha"] == after.headers["x-sha"] != before.headers["x-sha"]
        assert info["model_type"]["classifier"]["id2label"]["0"] == "NEW_0"
        assert [(True, False)] * 2 == [("NEW_0" in page, "neutral" in page) for page in pages(server)]
