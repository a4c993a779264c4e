"""The store on disk: nothing damaged is used, nothing is downloaded twice, and it stays within its limit."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labeld.config.fields import ByteSize
from labeld.error_reply import encode_error
from labeld.errors import StoreError, UnavailableError
from labeld.repository.errors import HubFailedError
from labeld.repository.files import ModelFile
from labeld.repository.manifest import Manifest, write_manifest
from labeld.repository.store import Store
from tests.support.hub_models import NEEDED, classifier, pulling, resolver
from tests.support.local_hub import Fault, LocalHub
from tests.support.server_process import wait_until


def flip(path: Path) -> None:
    """Changes a bit of a file, as a bad disk does: neither its size nor its time."""
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def edit_manifest(folder: Path, find: str, replace: str) -> None:
    """Changes the manifest by hand."""
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(find, replace))


def forge_weights(folder: Path) -> None:
    """Other weights, and a manifest whose hash is right for them."""
    shutil.copy(folder / "vocab.txt", folder / "model.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = {one["name"]: one for one in manifest["files"]}
    facts["model.safetensors"] |= {key: facts["vocab.txt"][key] for key in ("size", "digest")}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def name_main(folder: Path, commit: object) -> None:
    """Says by hand which commit main is."""
    (folder.parent / "revisions.json").write_text(json.dumps({"main": commit}))


def manifest(model_id: str, size: int) -> Manifest:
    """Of a model with one file."""
    return Manifest(model_id, "0" * 40, (ModelFile("vocab.txt", size, "sha256:0"),))


DAMAGE: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a flipped bit": (lambda folder: flip(folder / "model.safetensors"), ["model.safetensors"]),
    "a short file": (lambda folder: (folder / "vocab.txt").write_bytes(b""), ["vocab.txt"]),
    "a missing file": (lambda folder: (folder / "vocab.txt").unlink(), ["vocab.txt"]),
    "a stranger": (lambda folder: (folder / "tokenizer.json").write_text("{}"), []),
    "a folder": (lambda folder: (folder / "tokenizer.json").mkdir(), []),
    "another folder's": (lambda folder: edit_manifest(folder, "org/model", "org/other"), []),
    "an edited hash": (lambda folder: edit_manifest(folder, "sha256:", "sha256:0"), []),
    "a forgery": (forge_weights, ["model.safetensors"]),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), []),
    "a path": (lambda folder: edit_manifest(folder, "vocab.txt", "../vocab.txt"), []),
    "nonsense": (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), []),
    "a path as commit": (lambda folder: name_main(folder, f"../{folder.parent.name}/{folder.name}"), []),
    "a list as commit": (lambda folder: name_main(folder, []), []),
    "no names": (lambda folder: (folder.parent / "revisions.json").write_text("[]"), []),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_damaged_is_noticed_and_mended(hub: LocalHub, tmp_path: Path, name: str) -> None:
    """At the next use, and only the files that are wrong are downloaded again; without a Hub it is not served."""
    damage, again = DAMAGE[name]
    first = resolver(hub, tmp_path).fetch("org/model")
    damage(first.folder)
    hub.requests.clear()
    hub.fault = Fault("status")
    with pytest.raises(HubFailedError):
        resolver(hub, tmp_path).fetch("org/model")
    hub.fault = None

    place = resolver(hub, tmp_path).fetch("org/model")

    assert (first, dict.fromkeys(again, 1)) == (place, dict(hub.downloads()))
    files = hub.repositories["org/model"].files
    assert {name: files[name] for name in NEEDED} == {name: (place.folder / name).read_bytes() for name in NEEDED}
    assert {*NEEDED, "manifest.json", ".used"} == {path.name for path in place.folder.iterdir()}


def test_a_change_is_noticed_in_the_same_process(hub: LocalHub, tmp_path: Path) -> None:
    """A file that was verified before is verified again once it has changed."""
    found = resolver(hub, tmp_path)
    place = found.fetch("org/model")
    (place.folder / "model.safetensors").write_bytes(bytes(300_000))
    hub.requests.clear()

    found.fetch("org/model")

    assert {"model.safetensors": 1} == hub.downloads()


def test_a_link_is_no_file_of_the_store(hub: LocalHub, tmp_path: Path) -> None:
    """Even to the same content."""
    place = resolver(hub, tmp_path).fetch("org/model")
    (place.folder / "vocab.txt").rename(tmp_path / "elsewhere")
    (place.folder / "vocab.txt").symlink_to(tmp_path / "elsewhere")

    again = resolver(hub, tmp_path).fetch("org/model")

    assert not (again.folder / "vocab.txt").is_symlink()
    assert 2 == hub.downloads()["vocab.txt"]


@pytest.mark.slow
def test_many_threads_and_processes_download_a_model_once(hub: LocalHub, tmp_path: Path) -> None:
    """The others wait and find it there."""
    processes = [pulling(hub, tmp_path, "--json") for _ in range(2)]
    with ThreadPoolExecutor(8) as threads:
        places = set(threads.map(lambda _: resolver(hub, tmp_path).fetch("org/model"), range(8)))
    payload = [process.communicate(timeout=60) for process in processes]

    assert dict.fromkeys(NEEDED, 1) == hub.downloads()
    [place] = places
    expected = {"model_id": "org/model", "revision": place.commit, "folder": str(place.folder)}
    assert [(expected, b"")] * 2 == [(json.loads(output), error) for output, error in payload]


def test_who_waits_for_anothers_download_can_be_stopped(hub: LocalHub, tmp_path: Path) -> None:
    """Without the download being finished."""
    found = resolver(hub, tmp_path)
    with resolver(hub, tmp_path).store.downloading("org/model", threading.Event()):
        threading.Timer(0.1, found.stop).start()
        with pytest.raises(UnavailableError, match="stopping"):
            found.fetch("org/model")

    assert [] == hub.requests


@pytest.mark.slow
def test_a_download_that_was_killed_goes_on(hub: LocalHub, tmp_path: Path) -> None:
    """SIGKILL in the middle of the weights: the next process asks for the rest, and nothing was visible before."""
    hub.fault = Fault("slow", on="/cdn/", after=200_000)
    process = pulling(hub, tmp_path, "--hub-timeout", "30")
    part = next(iter_until(lambda: list(tmp_path.glob("store/*/*/model.safetensors.part"))))
    assert wait_until(lambda: part.stat().st_size >= 200_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    had = part.stat().st_size
    hub.fault = None
    hub.requests.clear()

    place = resolver(hub, tmp_path).fetch("org/model")

    assert [f"bytes={had}-"] == [headers.get("range") for _, path, headers in hub.requests if "/cdn/" in path]
    assert {"model.safetensors": 1} == hub.downloads()
    assert classifier()["model.safetensors"] == (place.folder / "model.safetensors").read_bytes()


def iter_until(look: Callable[[], list[Path]]) -> Iterator[Path]:
    """The first result of `look` that is not empty."""
    assert wait_until(look, 60)
    yield from look()


def stored(found: object) -> list[str]:
    """Ids of the models in the store, sorted."""
    return sorted(one.model_id for one in found.store.list())  # type: ignore[attr-defined]


def test_the_store_stays_within_its_limit(hub: LocalHub, tmp_path: Path) -> None:
    """The least recently used model is evicted, and never one in use: then the download is refused."""
    for number in range(4):
        hub.add(f"org/{number}", classifier(number))
    found = resolver(hub, tmp_path, store_limit="700KB")
    found.release(found.fetch("org/0"))
    found.release(found.fetch("org/1"))
    zero = found.fetch("org/0")
    two = resolver(hub, tmp_path, store_limit="700KB").fetch("org/2")

    assert ["org/0", "org/2"] == stored(found)
    with pytest.raises(StoreError, match=r"no room for the 0\.3MB of model org/3.*the other models are in use"):
        found.fetch("org/3")
    assert (["org/0", "org/2"], True) == (stored(found), two.folder.exists())
    found.release(zero)
    found.release(found.fetch("org/3"))
    assert ["org/2", "org/3"] == stored(found)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 700_000


def test_a_model_larger_than_the_limit_is_refused_with_both_sizes(hub: LocalHub, tmp_path: Path) -> None:
    """507, and nothing else was removed for it."""
    hub.add("org/small", classifier(1, 1000))
    found = resolver(hub, tmp_path, store_limit="200KB")
    found.release(found.fetch("org/small"))

    with pytest.raises(StoreError, match=r"Model org/model needs 0\.3MB, but the store may take 0\.2MB") as refused:
        found.fetch("org/model")

    assert (507, ["org/small"]) == (encode_error(refused.value, "")[0], stored(found))


def test_unfinished_downloads_of_others_make_room(hub: LocalHub, tmp_path: Path) -> None:
    """They are worth less than any model."""
    hub.add("org/left", classifier(1))
    found = resolver(hub, tmp_path, store_limit="450KB")
    hub.fault = Fault("cut", on="/cdn/", after=30_000)
    with pytest.raises(HubFailedError):
        found.fetch("org/left")
    hub.fault = None
    [left] = tmp_path.glob("store/org--left/*.partial/model.safetensors.part")

    found.fetch("org/model")

    assert not left.exists()


def test_a_full_disk_is_said_and_recovered_from(hub: LocalHub, tmp_path: Path) -> None:
    """The disk refuses the weights, here by /dev/full; once it takes them, the next call succeeds."""
    found = resolver(hub, tmp_path)
    hub.fault = Fault("status", on="/cdn/")
    with pytest.raises(HubFailedError):
        found.fetch("org/model")
    hub.fault = None
    [partial] = tmp_path.glob("store/*/*.partial")
    (partial / "model.safetensors.part").symlink_to("/dev/full")

    with pytest.raises(StoreError, match="The disk of the model store is full"):
        found.fetch("org/model")

    assert [] == stored(found)
    (partial / "model.safetensors.part").unlink()
    assert found.fetch("org/model").commit


def test_a_store_that_cannot_be_written_to_is_said_and_recovered_from(hub: LocalHub, tmp_path: Path) -> None:
    """Without its path."""
    (tmp_path / "store").touch()
    found = resolver(hub, tmp_path)

    with pytest.raises(StoreError, match="cannot be written to") as refused:
        found.open(found.find("org/model"))

    assert (507, False) == (encode_error(refused.value, "")[0], str(tmp_path) in str(refused.value))
    (tmp_path / "store").unlink()
    assert found.fetch("org/model").commit


def test_a_read_only_store_is_served(hub: LocalHub, tmp_path: Path) -> None:
    """A read-only store serves its models."""
    resolver(hub, tmp_path).fetch("org/model")
    for path in (tmp_path / "store").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    shutil.rmtree(tmp_path / "store/.locks")

    assert resolver(hub, tmp_path).fetch("org/model").commit


def test_a_commit_that_main_has_left_leaves_when_nobody_uses_it(hub: LocalHub, tmp_path: Path) -> None:
    """Unless it was asked for by another name."""
    found = resolver(hub, tmp_path)
    repository = hub.repositories["org/model"]
    place = found.fetch("org/model")
    found.release(place)
    repository.files = classifier(1)
    repository.commit()

    found.release(found.pull("org/model"))

    assert [("org/model", ("main",), repository.branches["main"])] == [
        (one.model_id, one.revisions, one.commit) for one in found.store.list()
    ]


def test_two_that_make_room_at_once_are_no_error(tmp_path: Path) -> None:
    """Each finds what the other has just removed; the files of twenty models are removed once."""
    commit, size = "0" * 40, 1000
    for number in range(20):
        folder = tmp_path / f"org--model-{number}" / commit
        folder.mkdir(parents=True)
        (folder / "vocab.txt").write_bytes(bytes(size))
        write_manifest(folder, manifest(f"org/model-{number}", size))

    def begin(number: int) -> bool:
        store = Store(tmp_path, ByteSize("12KB"))
        with store.downloading(f"org/new-{number}", threading.Event()):
            return store.begin(manifest(f"org/new-{number}", 9000)).is_dir()

    with ThreadPoolExecutor(4) as threads:
        begun = list(threads.map(begin, range(4)))

    assert [True] * 4 == begun
