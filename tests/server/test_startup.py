"""A server that is still starting: alive from the first moment on, ready later."""

import contextlib
import json
import signal
import socket
import subprocess
import time

from tests.support.asgi_probe import Probe, alive, probe, request, wait_until


@contextlib.contextmanager
def starting(**options):
    """A probe whose port is open, and whose application is not ready for seconds."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = Probe(listen={"port": port}, **options)
    server.port = port
    try:
        assert wait_until(lambda: opened(port), 10)
        yield server
    finally:
        server.process.kill()
        server.process.communicate(timeout=10)


def waiting(server):
    """A connection whose request waits for the start."""
    connection = server.connect()
    connection.sendall(request())
    time.sleep(0.15)
    return connection


def opened(port):
    """Whether somebody listens there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_requests_are_passed_on_while_it_starts():
    """The application decides what it answers before it has started; the ready line comes after that."""
    with starting(start="slow 2") as server:
        assert server.ask(request("/early", b"body")).status == 200
        answered = time.monotonic()
        server.wait_ready()
        assert time.monotonic() - answered > 0.2
        assert server.end() == (0, "")


def test_start_that_fails_after_a_while():
    """The reason is printed, and the exit code is 1."""
    with starting(start="slow 1 fail") as server:
        _, errors = server.process.communicate(timeout=10)

        assert server.process.returncode == 1
        assert b"No model is there." in errors
        assert errors.endswith(b"the worker could not start: stopping\n")


def test_successor_takes_no_request_before_it_is_ready(tmp_path):
    """SIGHUP: while the new worker starts, the old one answers everything."""
    with probe(start=str(tmp_path / "slow-from-now-on")) as server:
        (tmp_path / "slow-from-now-on").write_text("slow 2")
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert json.loads(server.ask(request()).body)["pid"] == server.worker
        new = server.wait_ready()

        assert wait_until(lambda: not alive(server.worker))
        assert json.loads(server.ask(request()).body)["pid"] == new


def test_one_of_two_workers_is_replaced(tmp_path):
    """While one worker starts anew, the other one answers everything."""
    slow = tmp_path / "slow-from-now-on"
    with probe(start=str(slow), listen={"workers": 2}) as server:
        other = server.wait_ready()
        slow.write_text("slow 2")
        time.sleep(1.2)  # the supervisor knows that both are ready
        server.process.send_signal(0)
        subprocess.run(["kill", "-KILL", str(server.worker)], check=True)
        time.sleep(0.2)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert json.loads(server.ask(request()).body)["pid"] == other


def test_stop_while_it_starts():
    """SIGTERM before the application is ready ends in order, with code 0."""
    with starting(start="slow 1") as server, waiting(server):
        assert server.end()[0] == 0
