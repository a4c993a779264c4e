"""A server on a Unix socket: who may connect, what it replaces, and that nothing of it is left."""

import http.client
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_process import run_labeld, serving

MODEL = "/models/labeld/sentiment-en"


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self) -> None:
        """Connects."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self.path))


def ask(path: Path, method: str, address: str, body: str | None = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of a reply."""
    connection = Connection(path)
    connection.request(method, address, body, headers)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, json.loads(text)


def test_a_unix_socket_is_answered_as_loopback(tmp_path: Path) -> None:
    """For owner and group; a foreign Host is refused, no token is asked for, and at the end the file is gone."""
    path = tmp_path / "labeld.sock"
    with serving(tmp_path, "--uds", str(path), "--host", "0.0.0.0") as running:
        assert f"unix:{path}" == running.url
        assert 0o660 == stat.S_IMODE(path.stat().st_mode)
        status, (ranking,) = ask(path, "POST", MODEL, json.dumps({"inputs": ["good day"]}))
        assert (200, 2) == (status, len(ranking))
        assert 403 == ask(path, "GET", "/health", host="evil.example")[0]
        assert 200 == ask(path, "GET", "/status")[0]
        busy = run_labeld("serve", "--uds", str(path))
        assert (1, 200) == (busy.returncode, ask(path, "GET", "/health")[0])
        assert f"{path} is already in use" in busy.stderr

    assert not path.exists()


def test_a_socket_may_be_named_from_the_home_folder(tmp_path: Path) -> None:
    """As other paths may; a shell leaves the ~ of `--uds=~/…` as it is, and no shell sees that of a variable."""
    for arguments, variables in ((["--uds=~/labeld.sock"], {}), ([], {"LABELD_UDS": "~/labeld.sock"})):
        with serving(tmp_path, *arguments, HOME=str(tmp_path), **variables) as running:
            assert f"unix:{tmp_path}/labeld.sock" == running.url
            assert 200 == ask(tmp_path / "labeld.sock", "GET", "/health")[0]


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    """By a server that was killed; nobody listens there any more."""
    path = tmp_path / "labeld.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))

    with serving(tmp_path, "--uds", str(path)):
        assert 200 == ask(path, "GET", "/health")[0]


@pytest.mark.parametrize(("name", "words"), [("file", "is there and no socket"), ("x" * 200, "Cannot listen at")])
def test_what_cannot_be_a_socket_is_one_sentence(tmp_path: Path, name: str, words: str) -> None:
    """A file that is something else stays as it is, and a path may be too long."""
    (tmp_path / "file").write_text("mine")
    done = run_labeld("serve", "--uds", str(tmp_path / name))

    assert 1 == done.returncode
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "mine" == (tmp_path / "file").read_text()
