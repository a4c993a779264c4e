"""Signals: a terminal that closes, one that is ignored, and the delay in which a load balancer turns away."""

import contextlib
import json
import os
import pty
import signal
import time

from tests.server.test_supervisor import in_flight, refuses
from tests.support.asgi_probe import Probe, alive, probe, read_reply, request, wait_until


@contextlib.contextmanager
def terminal():
    """A terminal: a function that a child calls to take it as its controlling one."""
    ends = pty.openpty()
    try:
        yield lambda: os.close(os.open(os.ttyname(ends[1]), os.O_RDWR))  # a session takes the first that it opens
    finally:
        for end in ends:
            os.close(end)


def ignore_hangup():
    """As nohup does; runs in the child."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_closed_terminal_ends_the_server():
    """With a controlling terminal SIGHUP, which supervisor and workers both get, ends everything in order."""
    with terminal() as take, probe(before_start=take) as server, in_flight(server, 0.7) as connection:
        os.killpg(server.process.pid, signal.SIGHUP)
        time.sleep(0.3)
        os.killpg(server.process.pid, signal.SIGHUP)  # the kernel sends one and the shell another

        assert read_reply(connection).status == 200
        assert server.process.wait(timeout=5) == 0
        assert not alive(server.worker)
        assert refuses(server.port)


def test_ignored_hangup_stays_ignored():
    """Under nohup SIGHUP changes nothing."""
    with probe(before_start=ignore_hangup) as server:
        os.killpg(server.process.pid, signal.SIGHUP)
        time.sleep(1.5)

        assert json.loads(server.ask(request()).body)["pid"] == server.worker
        assert server.end() == (0, "")


def test_hangup_of_the_group_without_a_terminal():
    """Workers leave the signal to the supervisor, which replaces them."""
    with probe() as server, in_flight(server, 1.0) as connection:
        os.killpg(server.process.pid, signal.SIGHUP)
        new = server.wait_ready()

        assert read_reply(connection).status == 200
        assert json.loads(server.ask(request()).body)["pid"] == new
        assert server.end() == (0, "")


def test_drain_delay():
    """After SIGTERM /ready is 503 at once, new connections are served for the delay, and then the drain begins."""
    with probe(process={"drain_delay": 4.0}) as server:
        assert server.ask(request("/ready")).status == 200
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: server.ask(request("/ready")).status == 503, 2.5)
        time.sleep(0.7)
        assert server.ask(request("/ready")).headers["retry-after"] == "1"
        assert [200] * 5 == [server.ask(request()).status for _ in range(5)]
        with in_flight(server, 6.0) as connection:
            assert wait_until(lambda: refuses(server.port))
            assert time.monotonic() - begin > 3.9
            assert read_reply(connection).status == 200
        assert server.end(0) == (0, "")


def test_longest_drain():
    """The longest times that settings allow are taken by every timer behind them."""
    with probe(process={"drain_delay": 1e9, "drain_timeout": 1e9}) as server:
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: server.ask(request("/ready")).status == 503)
        time.sleep(0.5)
        assert server.process.poll() is None
    with probe(process={"drain_timeout": 1e9}) as server, in_flight(server, 0.7) as connection:
        server.process.send_signal(signal.SIGTERM)
        assert read_reply(connection).status == 200
        assert server.end(0) == (0, "")


def test_second_signal_during_the_drain_delay():
    """A second signal ends everything at once, the delay too."""
    with probe(process={"drain_delay": 20.0}) as server:  # longer than anybody waits for its end
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)

        assert server.end()[0] == 128 + signal.SIGTERM


def test_replaced_worker_has_no_drain_delay():
    """A worker that has a successor drains at once: the port is served, and is ready, all the time."""
    with probe(process={"drain_delay": 20.0}) as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_ready()

        assert wait_until(lambda: not alive(server.worker))
        assert server.ask(request("/ready")).status == 200


def test_killed_supervisor_ends_a_worker_in_spite_of_the_delay():
    """Without a supervisor a worker drains at once."""
    with probe(process={"drain_delay": 20.0}) as server:
        os.kill(server.process.pid, signal.SIGKILL)

        assert wait_until(lambda: refuses(server.port))
        assert wait_until(lambda: not alive(server.worker), 5)


def test_stop_during_the_start_has_no_delay():
    """A worker that was never ready has nobody to turn away."""
    server = Probe(start="slow 1", process={"drain_delay": 20.0})
    time.sleep(0.8)

    assert server.end()[0] in {0, -signal.SIGTERM}
