"""Serving opens no connection but its listener, starts no process but its worker, and writes only where it may.

An audit hook, installed through PYTHONPATH in every Python process of the server, writes down what each of them does.
"""

import json
from pathlib import Path

from tests.support.paths import BUNDLED_IDS
from tests.support.server_process import serving

HOOK = """
import json, os, sys
_log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_seen = {"socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.fork", "os.forkpty",
         "os.exec", "os.posix_spawn", "os.system", "os.mkdir", "os.remove", "os.rename"}
def _hook(event, arguments):
    writes = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event in _seen or writes:
        os.write(_log, (json.dumps([event, str(arguments[:2])]) + "\\n").encode())
sys.addaudithook(_hook)
"""

THE_WORKER = ("os.fork", "()")


def watched(tmp_path: Path, plant: str = "") -> list[tuple[str, str]]:
    """Audit events of a server from its start to its end, answering with every bundled model."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK + plant)
    log = tmp_path / "audit"
    variables = {"PYTHONPATH": str(hooks), "AUDIT_LOG": str(log), "PYTHONDONTWRITEBYTECODE": "1"}
    with serving(tmp_path, "--host", "127.0.0.1", **variables) as server:
        for model in (*BUNDLED_IDS, "none"):
            server.post(f"/models/{model}", json={"inputs": "hello"})
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()]


def forbidden(events: list[tuple[str, str]], *own: Path) -> list[tuple[str, str]]:
    """Events that are neither the listener's address nor inside labeld's folders."""
    harmless = ("/dev/null", "/dev/shm", "'127.0.0.1', 0", *map(str, own), "/proc/self")
    return [
        event
        for event in events
        if not any(word in event[1] for word in harmless)
        and not (event[0] == "open" and "<" not in event[1] and event[1].startswith("(") and event[1][1].isdigit())
    ]


def test_serving_is_quiet(tmp_path: Path) -> None:
    """Nothing but the listener, the worker, the cache folder, and the secret of the link that is printed."""
    assert [THE_WORKER] == forbidden(watched(tmp_path), tmp_path / "cache", tmp_path / "tokens")


PLANT = """
import socket, subprocess
try:
    socket.create_connection(("127.0.0.1", 9), 0.1)
except OSError:
    pass
subprocess.run(["true"])
open(os.environ["AUDIT_LOG"] + ".other", "w").close()
"""


def test_the_watch_sees_what_it_looks_for(tmp_path: Path) -> None:
    """A planted connection, process and file are noticed."""
    found = forbidden(watched(tmp_path, PLANT), tmp_path / "cache", tmp_path / "tokens")

    assert any(event == "socket.connect" and "9" in what for event, what in found)
    assert any(event == "subprocess.Popen" and "true" in what for event, what in found)
    assert any(event == "open" and "audit.other" in what for event, what in found)
