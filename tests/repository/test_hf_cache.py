"""Models that `hf download` has brought: used where they lie, whole and verified, and left alone."""

import hashlib
import json
import os
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, snapshot_download

from labeld.config.load import load
from labeld.errors import ModelNotFoundError
from labeld.repository.errors import NotDownloadedError
from labeld.repository.resolver import Resolver
from tests.support.hub_models import NEEDED, classifier, resolver, start
from tests.support.local_hub import LocalHub
from tests.support.server_process import run_labeld

Spoil = Callable[[Path], object]


def downloaded(hub: LocalHub, tmp_path: Path, **options: Any) -> Path:
    """The snapshot that the real huggingface_hub makes of org/model."""
    cache = tmp_path / "hf-cache"
    folder = Path(snapshot_download("org/model", endpoint=hub.url, cache_dir=cache, **options))
    hub.requests.clear()
    return folder


def offline(hub: LocalHub, tmp_path: Path, **flags: Any) -> Resolver:
    """The resolver of a server that may connect to nobody."""
    return resolver(hub, tmp_path, offline=True, **flags)


def everything(root: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, modification time and content of all that lies below a folder."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_a_model_of_the_cache_is_used_where_it_lies(hub: LocalHub, tmp_path: Path) -> None:
    """By its id, a branch and a commit; without a question to the Hub, a copy or a change."""
    folder = downloaded(hub, tmp_path)
    commit = hub.repositories["org/model"].branches["main"]
    before = everything(tmp_path / "hf-cache")
    found = resolver(hub, tmp_path)

    for name, key in (
        ("org/model", "org/model"),
        ("org/model@main", "org/model"),
        (f"org/model@{commit}", f"org/model@{commit}"),
    ):
        model = found.find(name)
        location = found.open(model)
        assert (key, location) == (model.model_id, model.location)
        assert (folder, commit, "hf-cache") == location
        found.release(location)
    found.close()

    assert [] == hub.requests
    assert before == everything(tmp_path / "hf-cache")
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_only_the_needed_files_must_be_there(hub: LocalHub, tmp_path: Path) -> None:
    """A download of one form of weights, of which a file that nobody reads is damaged."""
    folder = downloaded(hub, tmp_path, allow_patterns=[*NEEDED, "README.md"])
    (folder / "README.md").resolve().write_text("other")

    assert folder == offline(hub, tmp_path).fetch("org/model").folder


def damage(folder: Path) -> None:
    """Another content of the same size."""
    blob = (folder / "model.safetensors").resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)


def cut(folder: Path) -> None:
    """A blob that is too short."""
    blob = (folder / "config.json").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])


def copied(folder: Path) -> None:
    """A file of its own in place of a link: nobody knows what it should be."""
    blob = (folder / "vocab.txt").resolve()
    (folder / "vocab.txt").unlink()
    shutil.copy(blob, folder / "vocab.txt")


def led_away(folder: Path) -> None:
    """A link to a file outside the cache, by the name of its hash."""
    blob = (folder / "vocab.txt").resolve()
    elsewhere = folder.parents[3] / blob.name
    shutil.copy(blob, elsewhere)
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to(elsewhere)


SPOILT: dict[str, Spoil] = {
    "weights damaged": damage,
    "config cut off": cut,
    "weights gone": lambda folder: [
        (folder / name).resolve().unlink() for name in ("model.safetensors", "pytorch_model.bin")
    ],
    "only the other weights": lambda folder: [
        (folder / name).unlink() for name in ("model.safetensors", "pytorch_model.bin")
    ],
    "tokenizer not downloaded": lambda folder: (folder / "vocab.txt").unlink(),
    "a file of its own": copied,
    "a link elsewhere": led_away,
    "a pipe for a blob": lambda folder: [
        (folder / "config.json").resolve().rename(folder / "old"),
        os.mkfifo(folder / (folder / "config.json").readlink()),
    ],
    "no branch": lambda folder: (folder.parents[1] / "refs/main").unlink(),
    "a branch that is a path": lambda folder: (folder.parents[1] / "refs/main").write_text("../../.."),
    "an endless branch": lambda folder: [
        (folder.parents[1] / "refs/main").unlink(),
        (folder.parents[1] / "refs/main").symlink_to("/dev/zero"),
    ],
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_not_whole_is_not_used(hub: LocalHub, tmp_path: Path, case: str) -> None:
    """The Hub is asked for it, and the store keeps what it says; offline it is not here. The cache stays as it is."""
    folder = downloaded(hub, tmp_path)
    SPOILT[case](folder)
    before = everything_but_pipes(tmp_path / "hf-cache")

    with pytest.raises(NotDownloadedError, match="offline"):
        offline(hub, tmp_path).fetch("org/model")
    location = resolver(hub, tmp_path).fetch("org/model")

    assert "store" == location.origin
    assert set(NEEDED) == set(hub.downloads())
    assert before == everything_but_pipes(tmp_path / "hf-cache")


def everything_but_pipes(root: Path) -> set[str]:
    """Names of all that lies below a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_the_store_comes_before_the_cache_and_folders_before_both(hub: LocalHub, tmp_path: Path) -> None:
    """A pulled model is the one that answers."""
    stored = resolver(hub, tmp_path).fetch("org/model")
    downloaded(hub, tmp_path)
    own = tmp_path / "models/org/model"
    own.mkdir(parents=True)

    assert stored == resolver(hub, tmp_path).fetch("org/model")
    assert (own, "folder") == (
        (location := resolver(hub, tmp_path, models_dir=str(tmp_path / "models")).fetch("org/model")).folder,
        location.origin,
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"hub": "off"}, ModelNotFoundError), ({"hub": "allowlist", "hub_allow": "other/*"}, NotDownloadedError)],
)
def test_a_model_that_a_request_may_not_have_downloaded_is_not_taken_from_the_cache(
    hub: LocalHub, tmp_path: Path, flags: dict[str, str], expected: type[Exception]
) -> None:
    """Private models of whoever runs the server may lie there."""
    downloaded(hub, tmp_path)
    found = resolver(hub, tmp_path, **flags)

    for ask in (found.find, found.fetch):
        with pytest.raises(expected):
            ask("org/model")
    assert "org/model" not in found.local()


def test_listings_have_its_classifiers(hub: LocalHub, tmp_path: Path) -> None:
    """With where they are from; a model of another kind is none of ours."""
    folder = downloaded(hub, tmp_path)
    hub.add("org/other", classifier(1, model_type="llama"))
    snapshot_download("org/other", endpoint=hub.url, cache_dir=tmp_path / "hf-cache")
    (tmp_path / "hf-cache/models--a--b--c/refs").mkdir(parents=True)
    (tmp_path / "hf-cache/datasets--org--model").mkdir()
    locations = resolver(hub, tmp_path).local()

    assert (folder, "hf-cache") == (locations["org/model"].folder, locations["org/model"].origin)
    assert {"org/model"} == {model_id for model_id in locations if not model_id.startswith("labeld/")}


def test_a_cache_that_is_not_there_is_none(hub: LocalHub, tmp_path: Path) -> None:
    """Nor one that is a file."""
    (tmp_path / "hf-cache").touch()

    assert "store" == resolver(hub, tmp_path).fetch("org/model").origin
    assert (tmp_path / "hf-cache").is_file()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "/home/hf"},
        {"HF_HOME": "/home/hf", "HF_HUB_CACHE": "/cache"},
        {"HF_HOME": "~/hf"},
        {"HF_HOME": "$SCRATCH/hf", "SCRATCH": "/scratch"},
        {"HF_HOME": "${SCRATCH}/$NOWHERE/hf", "SCRATCH": "/scratch"},
        {"HF_HOME": ""},
        {"HF_HUB_CACHE": "$HF_HOME/other", "HF_HOME": "/home/hf"},
        {"HF_HUB_CACHE": "~/$USER/cache", "USER": "jane"},
        {"XDG_CACHE_HOME": "/xdg"},
        {"XDG_CACHE_HOME": "~/$SCRATCH", "SCRATCH": "scratch"},
        {"XDG_CACHE_HOME": "/xdg", "HF_HOME": "/home/hf"},
        {"XDG_CACHE_HOME": "/xdg", "HF_HUB_CACHE": "/cache"},
        {"HUGGINGFACE_HUB_CACHE": "$SCRATCH/old", "SCRATCH": "/scratch"},
        {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "/cache"},
    ],
    ids=repr,
)
def test_the_cache_is_where_huggingface_hub_has_it(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same variables, in which others and ~ may stand."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "HUGGINGFACE_HUB_CACHE", "NOWHERE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)

    expected = runpy.run_path(str(constants.__file__))["HF_HUB_CACHE"]
    assert Path(expected) == load({}, variables).hub.hf_cache


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "the flag hf_home"])
def test_a_model_is_found_in_the_cache_that_a_variable_names(hub: LocalHub, tmp_path: Path, variable: str) -> None:
    """In the folder where huggingface_hub puts it; the flag wins over the variable."""
    below = {"HF_HUB_CACHE": "", "XDG_CACHE_HOME": "huggingface/hub"}.get(variable, "hub")
    folder = Path(snapshot_download("org/model", endpoint=hub.url, cache_dir=tmp_path / "place" / below))
    environment = {"LABELD_STORE_DIR": str(tmp_path / "store"), "HF_ENDPOINT": hub.url, "PLACE": str(tmp_path)}
    environment |= {"HF_HOME": "/nowhere"} if variable.startswith("the flag") else {variable: "$PLACE/place"}
    flags = {"hf_home": str(tmp_path / "place")} if variable.startswith("the flag") else {}
    location = start({**flags, "offline": True}, environment).fetch("org/model")

    assert (folder, "hf-cache") == (location.folder, location.origin)


def test_the_file_says_more_than_the_usual_place(tmp_path: Path) -> None:
    """XDG_CACHE_HOME is only where the cache is by default; HF_HOME wins over the file, as variables do."""
    (tmp_path / "labeld.yaml").write_text("settings:\n  hf_home: /file\n")
    given = {"config": tmp_path / "labeld.yaml"}

    assert Path("/file/hub") == load(given, {"XDG_CACHE_HOME": "/xdg"}).hub.hf_cache
    assert Path("/home/hub") == load(given, {"XDG_CACHE_HOME": "/xdg", "HF_HOME": "/home"}).hub.hf_cache


def test_the_command_lists_them_too(hub: LocalHub, tmp_path: Path) -> None:
    """`labeld models list`, with the commit and where they are from."""
    folder = downloaded(hub, tmp_path)
    done = run_labeld(
        *("models", "list", "--json", "--cache-dir", str(tmp_path / "own")), HF_HUB_CACHE=str(tmp_path / "hf-cache")
    )
    (row,) = [row for row in json.loads(done.stdout) if row["from"] == "hf-cache"]

    assert ("org/model", ["main"], folder.name) == (row["model_id"], row["revisions"], row["commit"])
    assert row["size"] >= 300_000
