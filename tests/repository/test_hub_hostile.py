"""No name from a request becomes a path or an address, and huggingface_hub does nothing behind our back.

An audit hook in a process of its own writes down every file and every connection.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.slow

HOSTILE = [
    *("", "/", "//", ".", "..", "../../etc", "org/../../etc/passwd", "..%2f..%2fetc", "%2e%2e/%2e%2e"),
    *(
        "org%2fmodel",
        "%252e%252e/x",
        "org\\model",
        "..\\..\\x",
        "org/model\n",
        "org/model\0",
        "org/model\r\nHost: x",
        "\t",
    ),
    *(
        "\uff4f\uff52\uff47/model",
        "org/\uff4dodel",
        "\u212aelvin/model",
        "org/modelé",
        "org/\u202emodel",
        "\ud800/x",
        "a" * 5000,
        "a/" * 2500,
    ),
    *(
        "http://127.0.0.1:9/x",
        "//127.0.0.1:9/x",
        "file:///etc/passwd",
        "hf://org/model",
        "org/model?x=1",
        "org/model#x",
    ),
    *(
        "org/model@",
        "org/model@..",
        "org/model@../../x",
        "org/model@main/../x",
        "org/model@a b",
        "org/model@-x",
        "@main",
    ),
    *("org/model@main@main", "org/model@%2e%2e", "org/model@" + "a" * 5000, "org/model;x", "org/.git", ".org/model"),
    *(
        "org/model/config.json",
        "a/b/c",
        "org--model",
        "a--b/c",
        "org/model.partial/x",
        "$(id)/x",
        "`id`",
        "~root/x",
        "-/-",
    ),
]

SCRIPT = """
import json, os, sys
from labeld.errors import LabeldError
from tests.support.hub_models import start
from labeld.error_reply import encode_error

seen = []
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork"):
        seen.append([event, str(arguments[1] if event == "socket.connect" else arguments[:2])])
    elif event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir"):
        if not isinstance(arguments[0], int):
            seen.append([event, os.path.abspath(os.fsdecode(arguments[0] or "."))])
sys.addaudithook(hook)
found = start({}, dict(os.environ))

statuses = []
for name in json.loads(sys.stdin.read()):
    for ask in (found.find, found.fetch, found.pull):
        try:
            ask(name)
            statuses.append([name, 200])
        except LabeldError as error:
            statuses.append([name, encode_error(error, "id")[0]])
print(json.dumps({"seen": seen, "statuses": statuses}))
"""


def watched(hub: LocalHub, tmp_path: Path, names: list[str]) -> dict[str, list[list[str]]]:
    """The events of a process that is asked for these models, and the status of each request."""
    home = tmp_path / "home"
    (home / ".cache/huggingface").mkdir(parents=True, exist_ok=True)
    (home / ".cache/huggingface/token").write_text("hf_somebody_elses")
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "LABELD_STORE_DIR": str(tmp_path / "store"), "HOME": str(home)}
    environment["LABELD_CACHE_DIR"] = str(tmp_path / "cache")
    environment |= {"PYTHONPATH": os.pathsep.join(("src", ".")), "PYTHONDONTWRITEBYTECODE": "1", "AI_AGENT": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        cwd=root,
        env=environment,
        check=False,
        timeout=120,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


def outside(events: list[list[str]], tmp_path: Path) -> list[list[str]]:
    """Files that are neither Python's, the store's, the cache folder's nor models in huggingface_hub's cache."""
    libraries = (
        *filter(None, sys.path),
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).parents[2]),
        "/proc/",
        "/etc/ssl",
        "/dev/null",
    )
    own = (
        str(tmp_path / "store"),
        str(tmp_path / "cache"),
        str(tmp_path / "home/.cache/huggingface/hub/models--"),
        *libraries,
    )
    return [event for event in events if not event[0].startswith("socket") and not event[1].startswith(own)]


def test_hostile_names_open_nothing_and_connect_nowhere(hub: LocalHub, tmp_path: Path) -> None:
    """Each is 404, and the Hub has heard of none."""
    payload = watched(hub, tmp_path, HOSTILE)

    assert [] == [(name, status) for name, status in payload["statuses"] if status != 404]
    assert [] == [event for event in payload["seen"] if event[0].startswith("socket")]
    assert [] == outside(payload["seen"], tmp_path)
    assert (3 * len(HOSTILE), []) == (len(payload["statuses"]), hub.requests)


def test_a_download_touches_labelds_own_folders_and_the_hub_only(hub: LocalHub, tmp_path: Path) -> None:
    """No telemetry, no token of another program, nothing written to the Hugging Face cache."""
    payload = watched(hub, tmp_path, ["org/model", "org/model@main", "org/none"])

    assert [200] * 6 + [200, 404, 404] == [status for _, status in payload["statuses"]]
    assert {None} == {headers.get("authorization") for _, _, headers in hub.requests}
    port = int(hub.url.rpartition(":")[2])
    assert {str(("127.0.0.1", port))} == {event[1] for event in payload["seen"] if event[0].startswith("socket")}
    assert [] == outside(payload["seen"], tmp_path)
    assert ["token"] == [path.name for path in (tmp_path / "home").rglob("*") if path.is_file()]


@pytest.mark.parametrize("plant", ["open('/etc/hostname').close()", "__import__('os').listdir('/etc')"])
def test_the_watch_sees_what_it_looks_for(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: str
) -> None:
    """A planted look outside is noticed."""
    monkeypatch.setattr(
        "tests.repository.test_hub_hostile.SCRIPT", SCRIPT.replace("statuses = []", f"statuses = []\n{plant}")
    )

    assert [] != outside(watched(hub, tmp_path, [])["seen"], tmp_path)
