"""Output of a server that nobody reads, with a full disk, or to a closed stream: requests never notice."""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.support.asgi_probe import Probe, alive, probe, request, wait_until
from tests.support.server_process import LABELD, START_LIMIT


@contextlib.contextmanager
def labeld(tmp_path, *arguments, **streams):
    """A `labeld serve` process with these streams, its URL, and a session; it need not print where it listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    places = {"LABELD_CACHE_DIR": str(tmp_path), "LABELD_TOKENS_DB": str(tmp_path / "t.sqlite3"), "LABELD_HUB": "off"}
    command = [LABELD, "serve", "--port", str(port), *arguments]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **streams}
    process = subprocess.Popen(command, env={**os.environ, **places}, **streams)
    url = f"http://127.0.0.1:{port}"
    session = requests.Session()
    try:
        assert wait_until(lambda: answers(url), START_LIMIT)
        yield process, url, session
    finally:
        session.close()
        process.kill()
        process.wait(timeout=10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def answers(url):
    """Whether the model is served; each time with a text that no cache has."""
    with contextlib.suppress(requests.RequestException):
        return requests.post(url, json={"inputs": f"at {time.monotonic()}"}, timeout=5).status_code == 200
    return False


def ended(process, timeout=8.0):
    """The exit code after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=timeout)


def full_pipe():
    """Both ends of a pipe that takes no further byte."""
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    fcntl.fcntl(writer, fcntl.F_SETFL, flags)
    return reader, writer


def test_announcement_to_a_full_disk(tmp_path):
    """A line that cannot be printed is left out, and the server serves."""
    with Path("/dev/full").open("wb") as full, labeld(tmp_path, stdout=full) as (process, url, _):
        time.sleep(0.3)

        assert answers(url)
        assert ended(process) == 0


def test_announcement_to_a_reader_that_left(tmp_path):
    """After SIGHUP the successor serves, although its line reaches nobody."""
    with labeld(tmp_path, stdout=subprocess.PIPE, start_new_session=True) as (process, url, session):
        first = json.loads(session.get(f"{url}/status", timeout=5).text)["pid"]
        process.stdout.close()
        process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: not alive(first), 30)

        assert wait_until(lambda: answers(url), 30)
        assert ended(process) == 0


@pytest.mark.parametrize("broken", ["full", "closed"])
def test_log_that_cannot_be_written(tmp_path, broken):
    """Requests are answered although no line of theirs can be written, and the lines are counted as dropped."""
    with contextlib.ExitStack() as stack:
        if broken == "full":
            streams = {"stderr": stack.enter_context(Path("/dev/full").open("wb"))}
        else:
            streams = {"stderr": None, "preexec_fn": lambda: os.close(2)}
        process, url, session = stack.enter_context(labeld(tmp_path, "--log-format", "json", **streams))
        assert [200] * 50 == [session.post(url, json={"inputs": "good"}, timeout=5).status_code for _ in range(50)]
        dropped = session.get(f"{url}/metrics", timeout=5).text.split("\nlabeld_log_lines_dropped_total ")[1].split()[0]
        assert (float(dropped) >= 50) == (broken == "full")
        assert ended(process) == 0


def test_log_that_nobody_reads(tmp_path):
    """All requests are answered; lines beyond the queue are dropped, and counted once somebody reads."""
    arguments = ("--log-format", "json", "--log-texts")
    with labeld(tmp_path, *arguments, stderr=subprocess.PIPE) as (process, url, session):
        body = {"inputs": ["a" * 100_000], "parameters": {"truncation": True}}
        codes = [session.post(url, json=body, timeout=5).status_code for _ in range(100)]
        assert [200] * 100 == codes
        assert session.get(f"{url}/health", timeout=5).status_code == 200
        dropped = session.get(f"{url}/metrics", timeout=5).text.split("\nlabeld_log_lines_dropped_total ")[1].split()[0]
        lines = []
        while not lines or b"were dropped" not in lines[-1]:
            assert select.select([process.stderr], [], [], 10)[0], "no line says how many were dropped"
            lines.append(process.stderr.readline())
        written = [json.loads(line) for line in lines]
        times = [line["time"] for line in written]

        assert float(dropped) > 0
        assert f"{int(float(dropped))} lines of the log were dropped" in written[-1]["message"]
        assert times == sorted(times)
        assert len([line for line in written if line["logger"] == "labeld.requests"]) > 20
        assert ended(process) == 0


def test_stop_while_nobody_reads_the_log(tmp_path):
    """SIGTERM ends the server although its log is stuck."""
    with labeld(tmp_path, "--log-format", "json", stderr=subprocess.PIPE) as (process, url, session):
        for _ in range(400):
            assert session.get(f"{url}/health", timeout=5).status_code == 200

        assert ended(process) == 0


def test_lines_are_written_before_the_end(tmp_path):
    """The last request has its line, however soon the end comes after it."""
    with labeld(tmp_path, "--log-format", "json", stderr=subprocess.PIPE) as (process, url, session):
        for number in range(50):
            session.get(f"{url}/health", headers={"x-request-id": f"number-{number}"}, timeout=5)
        process.send_signal(signal.SIGTERM)
        ids = [json.loads(line).get("request_id") for line in process.communicate(timeout=10)[1].splitlines()]

        assert [f"number-{number}" for number in range(50)] == [one for one in ids if (one or "").startswith("number")]


def test_supervisor_whose_log_nobody_reads():
    """A killed worker is replaced, and SIGTERM ends everything, although the supervisor cannot write a line."""
    reader, writer = full_pipe()
    server = Probe(stderr=writer)
    os.close(writer)
    try:
        os.kill(server.wait_ready(), signal.SIGKILL)
        server.wait_ready(5)
        assert server.ask(request()).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=5) == 0
    finally:
        server.process.kill()
        server.process.communicate(timeout=5)
        os.close(reader)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_library_that_writes_where_nobody_reads(log_format):
    """No thread that calls a library waits for a reader of what it writes to stderr."""
    reader, writer = full_pipe()
    server = Probe(stderr=writer, process={"log_format": log_format})
    os.close(writer)
    try:
        server.wait_ready()
        for _ in range(20):
            assert server.ask(request("/write", b"thread panicked\n" * 1000)).status == 200
    finally:
        server.process.kill()
        server.process.communicate(timeout=5)
        os.close(reader)


@pytest.mark.parametrize("character", ["a", "é", "\U0001f600", "\x01", '"'])
def test_long_line_of_a_library(character):
    """It becomes several lines, each of them valid JSON, and nothing of it is lost."""
    with probe(process={"log_format": "json"}) as server:
        server.ask(request("/write", f"begin {character * 1_200} end\n".encode()))
        written = [json.loads(line) for line in server.end()[1].splitlines()]

    pieces = [line["message"] for line in written if line["logger"] == "labeld.stderr"]
    assert f"begin {character * 1_200} end" == "".join(pieces)


def test_worker_whose_event_loop_is_stuck():
    """A worker that answers nothing is replaced, although its process lives and its threads run."""
    with probe() as server:
        time.sleep(1.2)  # the first ping has been answered
        with server.connect() as connection:
            connection.sendall(request("/block"))
            new = server.wait_ready(12)

        assert new != server.worker
        assert server.ask(request()).status == 200
        assert "was hung and is killed" in server.end()[1]


def test_lifespan_that_ends_ends_the_worker(tmp_path):
    """An application that ends by itself is of no use: its worker ends with a code, and is replaced."""
    with probe() as server:
        server.ask(request("/end-lifespan"))
        new = server.wait_ready(5)

        assert json.loads(server.ask(request()).body)["pid"] == new
        code, errors = server.end()
        assert code == 0
        assert "exited with code 70" in errors
        assert "RuntimeError: the lifespan ends" in errors


def test_worker_that_dies_as_soon_as_it_serves(tmp_path):
    """A worker that was ready and died is replaced, also when its first successors cannot start."""
    broken = tmp_path / "broken"
    with probe(start=str(broken)) as server:
        with contextlib.suppress(ConnectionResetError):
            assert server.ask(request("/sigbus")) is None
        time.sleep(2.5)  # at least one successor has failed
        assert server.process.poll() is None
        broken.unlink()
        new = server.wait_ready(8)

        assert json.loads(server.ask(request()).body)["pid"] == new
        code, errors = server.end()
        assert code == 0
        assert "was killed by SIGBUS" in errors
        assert "exited with code 3" in errors
