"""Processes that die, hang or get a signal to end: what clients see, and what is left behind."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.support.asgi_probe import Probe, alive, probe, read_reply, request, wait_until

pytestmark = pytest.mark.slow


def in_flight(server, seconds):
    """A connection whose request is being answered for so long."""
    connection = server.connect()
    connection.sendall(request(f"/sleep/{seconds}"))
    server.ask(request())  # what came before has been read by then
    return connection


def refuses(port):
    """Whether nobody listens at the port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def children(pid):
    """Ids of the worker processes of a supervisor."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_drain(sig):
    """A request in flight is answered after the signal, the port is free at once, and the exit code is 0."""
    with probe() as server, in_flight(server, 3.0) as connection:
        server.process.send_signal(sig)

        assert wait_until(lambda: refuses(server.port), 2.5)
        reply = read_reply(connection)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""
        assert server.end(0) == (0, "")
        assert not alive(server.worker)


def test_a_worker_that_dies_within_a_reply_has_sent_nothing_of_it():
    """So that a proxy in front of several servers may ask another one."""
    with probe() as server:
        with server.connect() as connection:
            connection.sendall(request("/half"))
            assert connection.recv(1) == b""
        server.wait_ready()

        assert server.ask(request()).status == 200


@pytest.mark.parametrize("ending", ["close", "keep-alive"])
def test_a_reply_without_a_body_comes_at_once(ending):
    """A HEAD request gets its head, and the connection goes on or ends as asked."""
    with probe() as server, server.connect() as connection:
        connection.sendall(request(headers=[f"connection: {ending}"]).replace(b"POST", b"HEAD", 1))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(65536)

        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        if ending == "close":
            assert connection.recv(1) == b""
        else:
            connection.sendall(request())
            assert read_reply(connection).status == 200


def test_ctrl_c_in_a_terminal():
    """Ctrl+C reaches the workers too; the requests in flight are answered all the same."""
    with probe() as server, in_flight(server, 0.7) as connection:
        os.kill(server.worker, signal.SIGINT)
        server.process.send_signal(signal.SIGINT)

        assert read_reply(connection).status == 200
        assert server.end(0) == (0, "")


def test_signal_sent_to_the_whole_group():
    """A SIGTERM to supervisor and worker at the same time is one request to end, not two."""
    with probe() as server, in_flight(server, 0.7) as connection:
        for pid in (server.worker, server.process.pid, server.process.pid):
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.05)  # so that each is delivered by itself

        assert read_reply(connection).status == 200
        assert server.end(0) == (0, "")


def test_drain_of_connections_without_a_request():
    """A kept connection may still bring a request that was on its way; an idle one is closed soon."""
    far = {"drain_timeout": 60.0}
    with probe(process=far) as server, server.connect() as late, server.connect() as idle, in_flight(server, 60):
        for connection in (late, idle):
            connection.sendall(request())
            read_reply(connection)
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: refuses(server.port))
        late.sendall(request("/late"))

        reply = read_reply(late)
        assert (json.loads(reply.body)["path"], reply.headers["connection"]) == ("/late", "close")
        assert idle.recv(1) == b""


def test_drain_has_an_end():
    """A request that takes longer than the drain is cut off."""
    with probe(process={"drain_timeout": 0.5}) as server, in_flight(server, 60):
        assert server.end()[0] == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_second_signal(sig):
    """A second signal ends everything at once."""
    with probe(process={"drain_timeout": 30}) as server, in_flight(server, 60):
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        code, _ = server.end(sig)

        assert code == 128 + sig
        assert wait_until(lambda: not alive(server.worker), 5)
        assert refuses(server.port)


def test_killed_worker_is_replaced():
    """A killed worker is replaced, requests that come meanwhile wait for the new one, and the log has one line."""
    with probe() as server:
        os.kill(server.worker, signal.SIGKILL)
        assert wait_until(lambda: not alive(server.worker), 5)
        reply = server.ask(request(body=b"x"))
        new = server.wait_ready()

        assert (reply.status, json.loads(reply.body)["pid"]) == (200, new)
        assert new != server.worker
        code, errors = server.end()
        assert code == 0
        assert errors.count("\n") == 1
        assert f"worker {server.worker} was killed by SIGKILL after" in errors
        assert "The kernel kills so when memory runs out" in errors


def test_worker_that_gives_up_is_replaced():
    """A worker that ends itself, because its engine hangs, is replaced."""
    with probe() as server:
        with contextlib.suppress(ConnectionResetError):
            assert server.ask(request("/exit")) is None
        new = server.wait_ready(5)

        assert json.loads(server.ask(request()).body)["pid"] == new
        assert "exited with code 70" in server.end()[1]


def test_stopped_worker_is_replaced():
    """A worker that hangs as a whole is killed and replaced within 10 seconds."""
    with probe() as server:
        time.sleep(0.7)  # the first ping has been answered
        os.kill(server.worker, signal.SIGSTOP)
        new = server.wait_ready(10)

        assert new != server.worker
        assert not alive(server.worker)
        assert server.ask(request()).status == 200
        assert "was hung and is killed" in server.end()[1]


@pytest.mark.parametrize("busy", [False, True])
def test_killed_supervisor_leaves_no_orphan(busy):
    """A worker whose supervisor is killed ends within 5 seconds, also with a request in flight, and frees the port."""
    with probe() as server, in_flight(server, 60 if busy else 0):
        os.kill(server.process.pid, signal.SIGKILL)

        assert wait_until(lambda: refuses(server.port), 5)
        assert wait_until(lambda: not alive(server.worker), 5)


def test_several_workers():
    """Two workers share the port, and all of them end."""
    with probe(listen={"workers": 2}) as server:
        workers = {server.worker, server.wait_ready()}

        assert {json.loads(server.ask(request()).body)["pid"] for _ in range(60)} == workers
        assert server.end() == (0, "")
        assert not any(alive(worker) for worker in workers)


def test_rolling_restart():
    """SIGHUP replaces the worker while every request is answered."""
    with probe() as server, in_flight(server, 1.0) as connection:
        failures, done = [], threading.Event()

        def ask():
            while not done.is_set():
                if server.ask(request()).status != 200:
                    failures.append(1)

        asking = threading.Thread(target=ask)
        asking.start()
        server.process.send_signal(signal.SIGHUP)
        new = server.wait_ready()

        assert read_reply(connection).status == 200
        assert wait_until(lambda: not alive(server.worker), 3)
        done.set()
        asking.join()
        assert failures == []
        assert json.loads(server.ask(request()).body)["pid"] == new
        assert server.end() == (0, "")


def test_rolling_restart_that_fails(tmp_path):
    """SIGHUP keeps the old worker when the new one does not start."""
    broken = tmp_path / "broken"
    with probe(start=str(broken)) as server:
        broken.touch()
        server.process.send_signal(signal.SIGHUP)
        time.sleep(1.5)

        assert json.loads(server.ask(request()).body)["pid"] == server.worker
        assert "the old one stays" in server.end()[1]


def test_rolling_restart_with_new_options():
    """SIGHUP gives every worker the new options, and those that replace them later too."""
    with probe(listen={"workers": 2}, reload="slow 0") as server:
        server.wait_ready()
        server.process.send_signal(signal.SIGHUP)
        new = {server.wait_ready(), server.wait_ready()}
        os.kill(min(new), signal.SIGKILL)
        server.wait_ready()

        assert {json.loads(server.ask(request()).body)["start"] for _ in range(40)} == {"slow 0"}


def test_rolling_restart_that_fails_half_way(tmp_path):
    """When the second worker does not start with the new options, the first one gets its old ones back."""
    file = tmp_path / "start"
    file.write_text("once")
    with probe(listen={"workers": 2}, reload=str(file)) as server:
        workers = {server.worker, server.wait_ready()}
        server.process.send_signal(signal.SIGHUP)
        first, back = server.wait_ready(), server.wait_ready()
        assert wait_until(lambda: not alive(first), 5)

        said = [json.loads(server.ask(request()).body) for _ in range(60)]
        assert {one["start"] for one in said} == {""}
        assert {one["pid"] for one in said} <= {back, *workers}
        assert len({one["pid"] for one in said}) == 2
        assert "the old one stays" in server.end()[1]


def test_rolling_restart_that_cannot_be_taken_back(tmp_path):
    """When the old options do not start either any more, the log says which workers keep the new ones."""
    file, broken = tmp_path / "start", tmp_path / "broken"
    file.write_text("once")
    with probe(listen={"workers": 2}, start=str(broken), reload=str(file)) as server:
        server.wait_ready()
        broken.touch()
        server.process.send_signal(signal.SIGHUP)
        server.wait_ready()
        time.sleep(2.0)

        assert "1 of 2 workers keep the new settings" in server.end()[1]


def test_port_in_use():
    """A port that is taken stops the start with one sentence."""
    with probe() as first:
        second = Probe(listen={"port": first.port})
        code, errors = second.end(0)

        assert code == 1
        assert f"port {first.port} of 127.0.0.1 is already in use" in errors
        assert errors.count("\n") == 1


def test_address_of_another_machine():
    """An address that is not ours stops the start with one sentence."""
    code, errors = Probe(listen={"host": "192.0.2.1"}).end(0)

    assert code == 1
    assert "192.0.2.1 is not an address of this machine" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(("start", "sentence"), [("fail", "No model is there."), ("raise", "broken application")])
def test_application_that_does_not_start(start, sentence):
    """A worker that cannot start stops the supervisor, after its reason was printed."""
    code, errors = Probe(start=start).end(0)

    assert code == 1
    assert sentence in errors
    assert errors.endswith("the worker could not start: stopping\n")


def test_crash_loop():
    """A worker that dies again and again is started less and less often, and SIGTERM still ends it all."""
    running = Probe(start="exit")
    time.sleep(3.2)
    code, errors = running.end()

    assert code == 0
    assert 2 <= errors.count("exited with code 70") <= 3


def test_sigterm_during_the_start():
    """A SIGTERM before the first worker is ready ends with code 0 and leaves nothing."""
    for pause in (0.25, 0.32, 0.4):
        running = Probe()
        time.sleep(pause)
        workers = children(running.process.pid)
        code, errors = running.end()

        assert (code, errors) in [(0, ""), (-signal.SIGTERM, "")]  # the latter before serve() is reached
        assert wait_until(lambda those=workers: not any(alive(pid) for pid in those))
