"""Models from a Hub, by its HTTP: what is downloaded, what is not, and what everything that goes wrong becomes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from labeld.config.load import load
from labeld.error_reply import encode_error
from labeld.errors import LabeldError, ModelBrokenError, ModelNotFoundError, SettingsError
from labeld.repository.errors import DownloadTooLargeError, GatedModelError, HubFailedError, NotDownloadedError
from labeld.repository.url_policy import redirected, require_other_address
from tests.support.hub_models import NEEDED, classifier, resolver, start
from tests.support.local_hub import Fault, LocalHub, local_hub

ELSEWHERE = [
    "http://169.254.169.254/latest",
    "http://127.0.0.1:{port}/x",
    "file:///etc/passwd",
    "http://[",
    "//:0x",
]


def visible(tmp_path: Path) -> set[str]:
    """Names of the files of all models in the store, unfinished downloads apart."""
    return {path.name for path in tmp_path.glob("store/*/*/*") if not path.parent.name.endswith(".partial")}


def weights(hub: LocalHub) -> bytes:
    """The bytes of a model's weights."""
    return hub.repositories["org/model"].files["model.safetensors"]


def test_a_model_is_downloaded_once_with_only_the_files_it_needs(hub: LocalHub, tmp_path: Path) -> None:
    """One form of weights, nothing of other frameworks, at the commit that main is; and no second time."""
    found = resolver(hub, tmp_path)
    payload: list[tuple[int, int]] = []

    place = found.open(found.find("org/model"), lambda done, total: payload.append((done, total)))
    again = resolver(hub, tmp_path).fetch("org/model")

    files = hub.repositories["org/model"].files
    assert hub.repositories["org/model"].branches["main"] == place.commit
    assert {name: files[name] for name in NEEDED} == {name: (place.folder / name).read_bytes() for name in NEEDED}
    assert (place, dict.fromkeys(NEEDED, 1)) == (again, dict(hub.downloads()))
    total = sum(len(files[name]) for name in NEEDED)
    assert (sorted(payload), (total, total)) == (payload, payload[-1])


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        (["pytorch_model.bin"], ["pytorch_model.bin"]),
        (["pytorch_model.bin", "model.safetensors"], ["model.safetensors"]),
    ],
)
def test_one_form_of_weights_is_downloaded(
    hub: LocalHub, tmp_path: Path, forms: list[str], expected: list[str]
) -> None:
    """Safetensors before .bin, all shards of one form."""
    files = {name: data for name, data in classifier().items() if not name.endswith((".safetensors", ".bin"))}
    hub.add("org/weights", files | {name: name.encode() for name in (*forms, "model-x.safetensors")})

    resolver(hub, tmp_path).fetch("org/weights")

    assert expected == sorted(name for name in hub.downloads() if "model" in name)


def shard_index(*shards: str) -> bytes:
    """An index by which each of these files has a tensor."""
    return json.dumps({"weight_map": {f"tensor.{shard}": shard for shard in shards}}).encode()


def without_weights() -> dict[str, bytes]:
    """A classifier's other files."""
    return {name: data for name, data in classifier().items() if not name.endswith((".safetensors", ".bin"))}


@pytest.mark.parametrize(
    ("index", "shards"),
    [
        ("model.safetensors.index.json", ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]),
        (
            "model.safetensors.index.json",
            ["pytorch_model-00001-of-00002.safetensors", "pytorch_model-00002-of-00002.safetensors"],
        ),
        ("model.safetensors.index.json", ["weights.safetensors"]),
        ("pytorch_model.bin.index.json", ["pytorch_model-1.bin", "other.bin"]),
    ],
)
def test_the_shards_that_the_index_names_are_downloaded(
    hub: LocalHub, tmp_path: Path, index: str, shards: list[str]
) -> None:
    """Whatever they are called, and no others."""
    stray = dict.fromkeys(("model-00009-of-00009.safetensors", "pytorch_model-00009-of-00009.bin"), b"x")
    weights = {name: name.encode() for name in shards} | {index: shard_index(*shards)}
    hub.add("org/weights", without_weights() | stray | weights)

    place = resolver(hub, tmp_path).fetch("org/weights")

    assert sorted([*shards, index]) == sorted(name for name in hub.downloads() if name in stray or name in weights)
    assert weights == {name: (place.folder / name).read_bytes() for name in weights}


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (shard_index("model-1.safetensors", "gone.safetensors"), "names the file gone.safetensors, which is missing"),
        (shard_index("../../secret.safetensors"), "only names in the same folder"),
        (shard_index("sub/model.safetensors"), "only names in the same folder"),
        (shard_index("model.bin"), "only names in the same folder with .safetensors"),
        (b"{}", "has no weight_map"),
        (b"{", "is not a JSON object"),
    ],
)
def test_an_index_that_cannot_be_followed_is_refused_before_anything_is_downloaded(
    hub: LocalHub, tmp_path: Path, index: bytes, expected: str
) -> None:
    """By its name; no shard is asked for."""
    files = without_weights() | {"model-1.safetensors": b"x", "model.safetensors.index.json": index}
    hub.add("org/weights", files)

    with pytest.raises(ModelBrokenError, match=expected):
        resolver(hub, tmp_path).fetch("org/weights")
    assert {"model.safetensors.index.json": 1} == hub.downloads()


@pytest.mark.parametrize(
    ("kind", "expected"), [("content", "not what its hash says"), ("endless", "more bytes than it said")]
)
def test_an_index_that_is_not_what_its_hash_says_is_not_believed(
    hub: LocalHub, tmp_path: Path, kind: str, expected: str
) -> None:
    """Nor read beyond the size that the Hub has said."""
    files = without_weights() | {"a.safetensors": b"x", "model.safetensors.index.json": shard_index("a.safetensors")}
    hub.add("org/weights", files)
    hub.fault = Fault(kind, on="index.json")

    with pytest.raises(HubFailedError, match=expected):
        resolver(hub, tmp_path).fetch("org/weights")
    assert not visible(tmp_path)


def test_revisions_are_commits(hub: LocalHub, tmp_path: Path) -> None:
    """A branch is resolved once, a commit is itself, and main moves only when it is pulled."""
    repository = hub.repositories["org/model"]
    first = repository.branches["main"]
    repository.files = classifier(1)
    second = repository.commit("refs/pr/1")
    repository.files = classifier(2)
    found = resolver(hub, tmp_path)

    commits = [
        found.open(found.find(name)).commit for name in ("org/model", "org/model@refs/pr/1", f"org/model@{first}")
    ]
    third = repository.commit()

    assert [first, second, first] == commits
    assert (first, third) == (found.fetch("org/model").commit, found.pull("org/model").commit)
    assert third == found.fetch("org/model").commit
    with pytest.raises(ModelNotFoundError):
        found.fetch("org/model@none")


def test_an_old_id_is_found_where_the_hub_has_moved_it(hub: LocalHub, tmp_path: Path) -> None:
    """The Hub answers 307 for an id without an organisation."""
    hub.renamed["classic"] = "org/model"

    assert hub.repositories["org/model"].branches["main"] == resolver(hub, tmp_path).fetch("classic").commit


def test_only_this_servers_token_is_sent_and_only_to_the_hub(hub: LocalHub, tmp_path: Path) -> None:
    """A private and a gated model need it."""
    hub.add("org/private", classifier(1), private=True, token="hf_own")
    hub.add("org/gated", classifier(2), gated=True, token="hf_own")
    without, own = resolver(hub, tmp_path), resolver(hub, tmp_path, hf_token="hf_own\n")
    wrong = resolver(hub, tmp_path, hf_token="hf_other")

    with pytest.raises(ModelNotFoundError):
        without.fetch("org/private")
    for one in (without, wrong):
        with pytest.raises(GatedModelError) as refused:
            one.fetch("org/gated")
    status, headers, body = encode_error(refused.value, "id")
    assert (403, b"GatedRepo") == (status, dict(headers)[b"x-error-code"])
    assert b"Access to model org/gated is restricted" in body
    sent = {headers.get("authorization") for _, _, headers in hub.requests}
    assert {None, "Bearer hf_other"} == sent
    assert all(own.fetch(name).commit for name in ("org/private", "org/gated"))
    assert "Bearer hf_own" in {headers.get("authorization") for _, _, headers in hub.requests}


def test_a_model_that_is_too_large_is_refused_with_both_sizes(hub: LocalHub, tmp_path: Path) -> None:
    """Nothing of it is downloaded."""
    sentence = r"too large to be loaded automatically \(0\.3MB > 0\.2MB, setting max_download\)"
    with pytest.raises(DownloadTooLargeError, match=sentence) as no:
        resolver(hub, tmp_path, max_download="200KB").fetch("org/model")

    assert (403, []) == (encode_error(no.value, "")[0], list(hub.downloads()))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (classifier(model_type="gpt9"), "architectures is"),
        ({**classifier(), "config.json": b"{"}, "not valid JSON"),
        ({**classifier(), "vocab.txt": b"[UNK]"}, "vocab.txt has no"),
        ({"config.json": b"{}", "model.onnx": b""}, "There are no weights"),
        ({"README.md": b""}, "config.json is missing"),
    ],
)
def test_what_cannot_be_served_is_known_before_its_weights(
    hub: LocalHub, tmp_path: Path, files: dict[str, bytes], sentence: str
) -> None:
    """By the small files and the list of all; nothing is left in the store."""
    hub.add("org/other", files)

    with pytest.raises(ModelBrokenError, match=sentence):
        resolver(hub, tmp_path).fetch("org/other")

    assert "model.safetensors" not in hub.downloads()
    assert not (tmp_path / "store/org--other").exists()


def test_a_cut_download_goes_on_where_it_was(hub: LocalHub, tmp_path: Path) -> None:
    """By Range, in the same call after a cut in the middle, and in the next one after more than that."""
    hub.fault = Fault("cut", on="/cdn/", after=100_000, times=1)
    resolver(hub, tmp_path / "a").fetch("org/model")
    in_one = [headers.get("range") for _, path, headers in hub.requests if "/cdn/" in path]

    hub.requests.clear()
    hub.fault = Fault("cut", on="/cdn/", after=50_000, times=1)
    stopped = resolver(hub, tmp_path / "b")
    with pytest.raises(LabeldError, match="stopping"):
        stopped.fetch("org/model", lambda done, _: stopped.stop() if done > 20_000 else None)
    resolver(hub, tmp_path / "b").fetch("org/model")
    in_two = [headers.get("range") for _, path, headers in hub.requests if "/cdn/" in path]

    assert [None, "bytes=100000-"] == in_one
    assert (None, 2, True) == (in_two[0], len(in_two), str(in_two[1]).startswith("bytes="))
    assert dict.fromkeys(NEEDED, 1) == {name: min(1, count) for name, count in hub.downloads().items()}


FAULTS = [
    Fault("cut", on="config.json", after=3),
    Fault("cut", on="/cdn/", after=0),
    Fault("cut", on="/cdn/", after=40_000),
    Fault("short", on="/cdn/"),
    Fault("content", on="/cdn/"),
    Fault("content", on="vocab.txt"),
    Fault("compressed", on="/cdn/"),
    Fault("status", on="/cdn/", status=429, headers={"Retry-After": "100000"}),
    Fault("status", on="/api/", status=429, headers={"RateLimit": '"api";r=0;t=55'}),
    Fault("status", on="/api/", status=500),
    Fault("status", on="/resolve/", status=503),
    Fault("status", on="/resolve/", status=404),
    Fault("slow", on="/cdn/", after=1000),
    Fault("slow", on="/api/"),
    Fault("silent", on="/cdn/"),
    Fault("silent", on="/api/"),
    Fault("endless", on="/cdn/"),
    Fault("endless", on="vocab.txt"),
    Fault("endless", on="/api/"),
    Fault("nonsense", on="/api/"),
    Fault("no hashes", on="/api/"),
    Fault("redirect", on="/resolve/", headers={"Location": "/org/model/resolve/main/config.json"}),
    *(Fault("redirect", on="/resolve/", headers={"Location": address}) for address in ELSEWHERE),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.on}-{fault.status}-{fault.after}")
def test_no_fault_of_the_hub_is_ever_served_and_the_next_call_after_it_succeeds(
    hub: LocalHub, tmp_path: Path, fault: Fault
) -> None:
    """Nothing becomes visible in the store; the sentence is ours, with a time to come back."""
    with local_hub() as other:
        fault.headers = {name: value.format(port=other.url.rpartition(":")[2]) for name, value in fault.headers.items()}
        hub.fault = fault
        found = resolver(hub, tmp_path, hub_timeout=0.5 if fault.kind in {"slow", "silent"} else 30)

        with pytest.raises(HubFailedError) as failed:
            found.fetch("org/model")

        assert set() == visible(tmp_path)
        status, headers, body = encode_error(failed.value, "id")
        assert (502, True) == (status, 1 <= int(dict(headers)[b"retry-after"]) <= 30)
        assert json.loads(body)["error"].startswith("Model org/model could not be downloaded: the Hub ")
        assert b"secret" not in body
        hub.fault = None
        place = found.fetch("org/model")
        assert weights(hub) == (place.folder / "model.safetensors").read_bytes()
        assert [] == other.requests


def test_a_hub_that_ignores_range_or_has_another_file_now_is_no_trap(hub: LocalHub, tmp_path: Path) -> None:
    """The part that an earlier call left is used only if the whole file has the right hash."""
    found = resolver(hub, tmp_path)
    hub.fault = Fault("status", on="/cdn/")
    with pytest.raises(HubFailedError):
        found.fetch("org/model")
    [partial] = tmp_path.glob("store/*/*.partial")
    for left, fault in (
        (b"wrong" * 100, None),
        (b"wrong" * 100, Fault("no range", on="/cdn/")),
        (bytes(400_000), None),
    ):
        copied = tmp_path / "copy"
        shutil.copytree(tmp_path / "store", copied / "store")
        (copied / partial.relative_to(tmp_path) / "model.safetensors.part").write_bytes(left)
        hub.fault = fault

        place = resolver(hub, copied).fetch("org/model")

        assert weights(hub) == (place.folder / "model.safetensors").read_bytes()
        shutil.rmtree(copied)


def test_another_commit_than_asked_for_is_refused(hub: LocalHub, tmp_path: Path) -> None:
    """A pinned commit is a promise."""
    hub.fault = Fault("wrong commit", on="/api/")

    with pytest.raises(HubFailedError, match="another commit"):
        resolver(hub, tmp_path).fetch(f"org/model@{hub.repositories['org/model'].branches['main']}")


def test_an_unreachable_hub_is_a_502_for_new_models_only(hub: LocalHub, tmp_path: Path) -> None:
    """Models in the store are served all the same."""
    resolver(hub, tmp_path).fetch("org/model")
    with local_hub() as gone:
        found = resolver(gone, tmp_path)

    assert found.fetch("org/model").commit
    with pytest.raises(HubFailedError, match="cannot be reached"):
        found.fetch("org/new")


def test_who_may_cause_a_download(hub: LocalHub, tmp_path: Path) -> None:
    """any, allowlist, off and offline; pulling is the operator's, who needs no permission but the line."""
    hub.add("other/model", classifier(1))
    allow = resolver(hub, tmp_path, hub="allowlist", hub_allow="org/*,x")

    with pytest.raises(NotDownloadedError, match=r"LABELD_HUB_ALLOW does not name it\.$"):
        allow.find("other/model")
    with pytest.raises(NotDownloadedError):
        allow.fetch("other/model")
    with pytest.raises(ModelNotFoundError, match=r"^Model org/model does not exist$"):
        resolver(hub, tmp_path, hub="off").find("org/model")
    with pytest.raises(NotDownloadedError, match="offline") as offline:
        resolver(hub, tmp_path, offline=True).find("org/model")
    assert (404, []) == (encode_error(offline.value, "")[0], hub.requests)

    allow.open(allow.find("org/model"))
    resolver(hub, tmp_path, hub="off").pull("other/model")
    asked = len(hub.requests)
    for flags in ({"hub": "off"}, {"offline": True}, {"hub": "allowlist"}):
        assert resolver(hub, tmp_path, **flags).fetch("other/model").commit
    assert asked == len(hub.requests)


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        ({"hub": "any", "host": "0.0.0.0"}, {}, "hub is any, but host is 0.0.0.0"),
        ({"hub": "all"}, {}, "--hub is 'all', but must be auto or any or allowlist or off."),
        ({"hub_allow": "org/../*"}, {}, "hub_allow has 'org/../\\*'"),
        ({}, {"HF_ENDPOINT": "ftp://hub"}, "hf_endpoint is 'ftp://hub', but must be like"),
        ({}, {"HF_ENDPOINT": "https://user:word@hub"}, "hf_endpoint is"),
        ({}, {"HF_TOKEN": "a b"}, "HF_TOKEN has characters"),
        ({}, {"HF_HUB_OFFLINE": "maybe"}, "HF_HUB_OFFLINE is 'maybe', but must be true or false."),
        ({"max_download": "5 apples"}, {}, "--max-download is '5 apples', but must be bytes like 4GiB or a share like"),
    ],
)
def test_impossible_settings_stop_the_start(flags: dict[str, Any], environment: dict[str, str], sentence: str) -> None:
    """Each by its name."""
    with pytest.raises(SettingsError, match=sentence):
        start(flags, environment)


def test_by_default_anything_on_loopback_and_nothing_elsewhere() -> None:
    """And a token is never shown."""
    chosen = load({}, {"HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "ON"})

    assert ("any", True) == (chosen.hub_policy(), chosen.hub.offline)
    assert "allowlist" == load({"host": "::"}, {}).hub_policy()
    assert "hf_secret" not in repr(chosen)


def test_an_endpoint_that_is_this_server_is_refused() -> None:
    """By every name of this machine, and only on the same port."""
    for host in ("127.0.0.1", "localhost", "127.0.0.5"):
        with pytest.raises(SettingsError, match="where this server listens"):
            require_other_address(f"http://{host}:8080", "127.0.0.1", 8080)
    require_other_address("http://127.0.0.1:8081", "127.0.0.1", 8080)
    require_other_address("http://192.0.2.1:8080", "0.0.0.0", 8080)


@pytest.mark.parametrize(
    ("endpoint", "location", "expected"),
    [
        ("https://1.1.1.1", "/a", "https://1.1.1.1/a"),
        ("https://1.1.1.1", "https://8.8.8.8/a", "https://8.8.8.8/a"),
        ("https://1.1.1.1", "http://8.8.8.8/a", None),
        ("https://1.1.1.1", "https://127.0.0.1/a", None),
        ("https://1.1.1.1", "https://10.0.0.1/a", None),
        ("https://1.1.1.1", "https://[::ffff:10.0.0.1]/a", None),
        ("https://1.1.1.1", "https://169.254.169.254/a", None),
        ("https://1.1.1.1", "https://localhost/a", None),
        ("https://1.1.1.1", "//127.0.0.1/a", None),
        ("https://10.0.0.1", "https://10.0.0.2/a", "https://10.0.0.2/a"),
        ("http://127.0.0.1:81", "http://127.0.0.1:82/a", None),
        ("https://1.1.1.1", "https://1.1.1.1:99999/a", None),
    ],
)
def test_where_a_redirect_may_lead(endpoint: str, location: str, expected: str | None) -> None:
    """To the Hub itself, or by https; from a public Hub never to a private address."""
    assert expected == redirected(endpoint, f"{endpoint}/x", location)


def test_the_test_hub_speaks_the_hubs_http(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's own snapshot_download works with it."""
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    hub.add("org/gated", classifier(1), gated=True)

    def snapshot(model_id: str) -> Path:
        return Path(huggingface_hub.snapshot_download(model_id, endpoint=hub.url, cache_dir=tmp_path, token=False))

    files = hub.repositories["org/model"].files
    assert files == {path.name: path.read_bytes() for path in snapshot("org/model").iterdir()}
    with pytest.raises(GatedRepoError):
        snapshot("org/gated")
    with pytest.raises(RepositoryNotFoundError):
        snapshot("org/none")
