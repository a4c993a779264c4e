"""A real `labeld serve` process for tests, and plain HTTP to ask it with."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support.labeld_forks import LABELD, Forked, run, start

__all__ = ["LABELD", "NO_CACHE", "PATIENT", "SMALLEST", "Server", "run_labeld", "serving", "wait_until"]

READY = re.compile(r"answers at ((?:http://|unix:)\S+) with (.+)\n")
LINK = re.compile(r"http://\S+/sign-in\?code=\S+")
START_LIMIT = 60.0
NO_CACHE = ("--cache-bytes", "0")
"""So that every answer is computed: what most tests are about."""
PATIENT = ("--queue-timeout", "600", "--queue-seconds", "600")
"""A busy machine may need longer for what waits than a client would wait."""
SMALLEST = "labeld/language-20"
"""The bundled model that is loaded soonest, for tests that any model will do for."""


@dataclass
class Server:
    """A running server."""

    process: "subprocess.Popen[bytes] | Forked"
    log: Path
    """Its output on stderr so far."""
    url: str = ""
    models: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def wait_ready(self) -> None:
        """Until the next ready line; raises TimeoutError with the log."""
        found = self._read_line(READY, START_LIMIT)
        if not found:
            raise TimeoutError(f"labeld did not become ready: {self.log.read_text()}")
        self.url, self.models = found[1], found[2]

    def sign_in_link(self, seconds: float = 5.0) -> str:
        """The link that is printed after the ready line; raises TimeoutError where there is none."""
        found = self._read_line(LINK, seconds)
        if not found:
            raise TimeoutError("labeld printed no link to sign in with")
        return found[0]

    def _read_line(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str] | None:
        """The next line on stdout that is like this; those before are dropped."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            line = self.process.stdout.readline().decode()
            if not line or (found := pattern.search(line)):
                return found if line else None
        return None

    def post(self, path: str, **options: Any) -> requests.Response:
        """POST to a path of this server."""
        return self.session.post(self.url + path, timeout=60, **options)

    def get(self, path: str) -> requests.Response:
        """GET a path of this server."""
        return self.session.get(self.url + path, timeout=60)

    def classify(self, inputs: Any, model: str = "org/bert", **parameters: Any) -> Any:
        """The rankings of a good request, for which a model may be loaded first."""
        body = {"inputs": inputs, "parameters": parameters}
        reply = self.post(f"/models/{model}", json=body, headers={"x-wait-for-model": "true"})
        assert reply.status_code == 200, reply.text
        return reply.json()

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """While one request is in flight: enough work for minutes, which is given up at the end."""
        model = "/models/labeld/sentiment-en"
        self.post(model, json={"inputs": "good"}, headers={"x-wait-for-model": "true"}).raise_for_status()
        texts = [f"{index} " + "word " * 200 for index in range(900)]
        body = json.dumps({"inputs": texts}).encode()
        head = f"POST {model} HTTP/1.1\r\nhost: localhost\r\nx-use-cache: 0\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(self.address) as connection:
            connection.sendall(head.encode() + body)
            yield

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a socket."""
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def processes(self) -> list[int]:
        """Ids of all processes of this server that still live, by their process group, itself included."""
        return [pid for pid, group in _process_groups() if group == self.process.pid]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.session.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def serving(tmp_path: Path, *arguments: str, anew: bool = False, **variables: str) -> Iterator[Server]:
    """`labeld serve` with these arguments on a free port, which leaves no process behind.

    If it still runs at the end it is stopped, and must end with exit code 0. With `anew` it is a process from its
    beginning: what tests need that look at the process itself.
    """
    log = tmp_path / "stderr"
    places = {
        "LABELD_CACHE_DIR": str(tmp_path / "cache"),
        "LABELD_TOKENS_DB": str(tmp_path / "tokens" / "tokens.sqlite3"),
        "LABELD_LOAD_GRACE": "60",  # a busy machine takes its time, and a 503 is what few tests are about
    }
    environment = {**os.environ, **places, "LABELD_HUB": "off", **variables}
    with log.open("wb") as stderr:
        # in a process group of its own: nobody of it can be lost
        process = start(["serve", "--port", "0", *arguments], environment, tmp_path, stderr.fileno(), anew=anew)
    server = Server(process, log)
    try:
        server.wait_ready()
        yield server
        if process.poll() is None:
            assert server.stop() == 0, log.read_text()
        assert wait_until(lambda: not server.processes()), f"left behind: {server.processes()}"
    finally:
        server.session.close()
        for pid in server.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def run_labeld(*arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """A labeld command that ends by itself; on a free port, with an empty cache, without access tokens or a Hub."""
    with tempfile.TemporaryDirectory() as cache:
        places = {"LABELD_CACHE_DIR": cache, "LABELD_TOKENS_DB": f"{cache}/tokens.sqlite3"}
        given = {"LABELD_PORT": "0", "LABELD_HUB": "off", **places, **variables}
        return run(list(arguments), {**os.environ, **given}, stdin)


def _process_groups() -> Iterator[tuple[int, int]]:
    """Id and group of each process of this machine that is not a zombie."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if state != "Z":
                yield int(folder.name), int(group)


def wait_until(condition: Any, seconds: float = 10.0) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def configured(folder: Path, text: str, *arguments: str, **variables: str) -> AbstractContextManager[Server]:
    """`serving` with a configuration file of this text."""
    (folder / "labeld.yaml").write_text(text)
    return serving(folder, *arguments, "--config", str(folder / "labeld.yaml"), **variables)
