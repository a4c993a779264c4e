"""`labeld models pull`, `list` and `remove`."""

import json
import os
import pty
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import snapshot_download
from typer.testing import CliRunner

from labeld.cli.main import cli
from tests.support.hub_models import NEEDED, pulling, resolver
from tests.support.local_hub import LocalHub
from tests.support.paths import BUNDLED_IDS


def labeld(hub: LocalHub, tmp_path: Path, *arguments: str) -> Any:
    """The result of `labeld models …`."""
    variables = {"HF_ENDPOINT": hub.url, "LABELD_STORE_DIR": str(tmp_path / "store"), "LABELD_HUB_TIMEOUT": "30"}
    return CliRunner().invoke(cli, ["models", *arguments], env=variables)


def test_a_pulled_model_is_listed_until_it_is_removed(hub: LocalHub, tmp_path: Path) -> None:
    """Beside the bundled ones, with its revision, its size and its last use."""
    pulled = labeld(hub, tmp_path, "pull", "org/model")
    listed = json.loads(labeld(hub, tmp_path, "list", "--json").output)
    table = labeld(hub, tmp_path, "list").output
    removed = labeld(hub, tmp_path, "remove", "org/model")
    after = json.loads(labeld(hub, tmp_path, "list", "--json").output)

    commit = hub.repositories["org/model"].branches["main"]
    assert f"org/model is in the store, at {commit}.\n" == pulled.output
    assert [*BUNDLED_IDS, "org/model"] == [row["model_id"] for row in listed]
    size = sum(len(hub.repositories["org/model"].files[name]) for name in NEEDED)
    own = listed[-1]
    assert (["main"], commit, size, "store") == (own["revisions"], own["commit"], own["size"], own["from"])
    assert f"org/model main {commit[:12]} 0.3MB {own['last_used'][:16]} store" in " ".join(table.split())
    assert (True, listed[:-1]) == (removed.output.startswith("Removed org/model, 0.30"), after)
    assert [] == [path.name for path in (tmp_path / "store").iterdir() if path.name != ".locks"]


def test_pull_brings_a_model_up_to_date(hub: LocalHub, tmp_path: Path) -> None:
    """And says so as JSON; what did not change is not downloaded again."""
    labeld(hub, tmp_path, "pull", "org/model")
    first = labeld(hub, tmp_path, "pull", "org/model", "--json")
    hub.repositories["org/model"].files["tokenizer_config.json"] += b" "
    commit = hub.repositories["org/model"].commit()
    second = json.loads(labeld(hub, tmp_path, "pull", "org/model", "--json").output)

    assert dict.fromkeys(NEEDED, 1) | {"tokenizer_config.json": 2} == hub.downloads()
    assert commit != json.loads(first.output)["revision"]
    assert {"model_id": "org/model", "revision": commit, "folder": second["folder"]} == second
    assert b"{} " == (Path(second["folder"]) / "tokenizer_config.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pull", "org/none"], "Model org/none does not exist"),
        (["pull", "../x"], "Model ../x does not exist"),
        (["check", "a" * 300], "does not exist"),
        (["pull", "org/model", "--offline"], "it is offline"),
        (["pull", "org/model", "--max-download", "1KB"], "too large"),
        (["pull", "org/model", "--hf-endpoint", "ftp://x"], "hf_endpoint is"),
        (["remove", "org/model"], "Model org/model does not exist"),
        (["remove", "labeld/sentiment-en"], "is not in the store: it is part of labeld"),
    ],
)
def test_what_cannot_be_done_is_said(hub: LocalHub, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """One sentence."""
    assert sentence in str(labeld(hub, tmp_path, *arguments).exception)


def test_a_model_that_lies_elsewhere_is_not_removed(hub: LocalHub, tmp_path: Path) -> None:
    """The sentence says where it lies, and how it is removed there."""
    own, theirs = tmp_path / "models/org/own", tmp_path / "cache"
    own.mkdir(parents=True)
    (own / "config.json").write_text("{}")
    snapshot_download("org/model", cache_dir=theirs, endpoint=hub.url)
    places = ("--models-dir", str(tmp_path / "models"), "--hf-hub-cache", str(theirs))
    for model, where in (("org/own", f"lies in {tmp_path}/models"), ("org/model", f"{theirs}: remove it with `hf ")):
        assert where in str(labeld(hub, tmp_path, "remove", model, *places).exception)

    assert own.is_dir()


def test_a_model_in_use_is_not_removed(hub: LocalHub, tmp_path: Path) -> None:
    """Until it is used no longer."""
    found = resolver(hub, tmp_path)
    place = found.fetch("org/model")

    assert "in use" in str(labeld(hub, tmp_path, "remove", "org/model").exception)
    found.release(place)
    assert 0 == labeld(hub, tmp_path, "remove", "org/model").exit_code


def test_a_bar_shows_how_far_a_download_is(hub: LocalHub, tmp_path: Path) -> None:
    """On a terminal."""
    ours, terminal = pty.openpty()
    with pulling(hub, tmp_path, stderr=terminal) as process:
        os.close(terminal)
        output, _ = process.communicate(timeout=60)
    shown = b""
    with suppress(OSError), os.fdopen(ours, "rb", buffering=0) as screen:
        while read := screen.read(4096):
            shown += read

    assert b"is in the store" in output
    assert b"300.1/300.1 kB" in shown
