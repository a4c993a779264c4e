"""labeld on Ray Serve: two nodes beside the plain server, and what clients notice of a failure.

Replica, node, cable and head fail under clients that check every answer. Needs the extra `ray` and redis-server; head
and cable need root, for namespaces.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from benchmarks.lib.client import Connection
from benchmarks.lib.load import CONNECTIONS
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.server import Server
from labeld.repository.folders import DEFAULT_MODEL
from tests.support.network_namespaces import namespaces, possible
from tests.support.ray_cluster import Cluster, Node, cluster, kill, variables_of_a_node
from tests.support.redis_process import redis_server
from tests.support.server_process import wait_until
from tests.support.steady_clients import Seen, post, steady_clients

BAR_COMPUTED, BAR_CACHED, BAR_ADDED_MS = 0.8, 600.0, 3.0
BAR_SLOWEST, BAR_BACK = 3.0, 15.0
PATH = f"/models/{DEFAULT_MODEL}"
TEXT = "The kettle works exactly as described, and the second one that we bought for the office does, too."
TEXTS = [f"{word} number {number}" for number in range(8) for word in ("good", "bad")]
ARGUMENTS = {"allow_anonymous": True, "num_replicas": 2}
WITHIN = 240.0
"""Seconds for a cluster to be whole again, before the run is given up."""
CABLE_OUT, HEAD_AWAY = 30.0, 10.0
"""Seconds without a cable, and without a head."""
OUT_OF_SIGHT = ("unshare", "--pid", "--fork", "--mount-proc")
"""NOTE: a head does not start where it sees processes of a node that has its address already."""
SCRIPT = """
wrk.method, wrk.body = "POST", '%s'
wrk.headers["Content-Type"], wrk.headers["X-Use-Cache"] = "application/json", "%s"
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n[%%d, %%.6f, %%d]\\n', summary.requests, summary.duration / 1e6,
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(slots=True)
class Outcome:
    """What the clients have seen of one failure."""

    seen: Seen
    back: float = 0.0
    """Seconds until there were as many replicas again."""


def measure(plan: Plan) -> list[Figure]:
    """All of it; each part has a cluster of its own."""
    runs = 2 if plan.quick else 10
    with cluster() as running:
        _deploy(running)
        figures = _speed(plan, running)
    with cluster(cpus=2) as running:
        _deploy(running)
        replicas = [_kill_replica(running) for _ in plan.progress.track(range(runs), description="ray: replicas")]
        nodes = [_kill_node(running) for _ in plan.progress.track(range(runs), description="ray: nodes")]
        figures += [*_failure("a replica killed", replicas), *_failure("a node killed", nodes)]
        figures += _nothing_failed("a rolling redeploy", _redeploy(running))
    if not possible():
        return figures
    figures += _nothing_failed(f"the head killed, and back after {HEAD_AWAY:g} s", _kill_head())
    return [*figures, *_pull_cable()]


def _speed(plan: Plan, running: Cluster) -> list[Figure]:
    """Requests per second and latency through a proxy, beside those of the plain server, in turns."""
    port, seconds = running.nodes[0].port, 2 if plan.quick else 5
    with Server("--cache-bytes", str(1 << 20), cache=plan.cache) as server:
        rates = in_turn(
            plan,
            "ray: beside the plain server",
            {
                "plain": lambda: _rate(server.port, seconds, use_cache=False),
                "ray": lambda: _rate(port, seconds, use_cache=False),
                "plain, cached": lambda: _rate(server.port, seconds, use_cache=True),
                "ray, cached": lambda: _rate(port, seconds, use_cache=True),
            },
        )
        times = in_turn(
            plan,
            "ray: one connection",
            {"plain": lambda: _median_ms(server.port), "ray": lambda: _median_ms(port)},
        )
    detail = {name: summary(values) for name, values in rates.items()}
    share = median(rates["ray"]) / median(rates["plain"])
    added = median(times["ray"]) - median(times["plain"])
    details = {name: summary(values) for name, values in times.items()}
    return [
        Figure("ray", "computed at 32 connections, of the plain server's", share, "", BAR_COMPUTED, "at least", detail),
        Figure("ray", "cached at 32 connections", median(rates["ray, cached"]), "requests/s", BAR_CACHED, "at least"),
        Figure("ray", "one connection, cached, over the plain server", added, "ms", BAR_ADDED_MS, detail=details),
    ]


def _rate(port: int, seconds: int, *, use_cache: bool) -> float:
    """Requests per second of 32 connections; exits where one is not answered with 200."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "load.lua")
        script.write_text(SCRIPT % (json.dumps({"inputs": TEXT}), json.dumps(use_cache)), encoding="ascii")
        options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        command = ["wrk", *options, f"http://127.0.0.1:{port}{PATH}"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    answers, took, failures = json.loads(ran.stdout.splitlines()[-1])
    if failures:
        sys.exit(f"{failures} of {answers} answers of port {port} under load were not 200.")
    return float(answers / took)


def _median_ms(port: int, count: int = 200) -> float:
    request, times = post(PATH, TEXT, use_cache=True), []
    with Connection(port) as connection:
        for _ in range(count):
            began = time.perf_counter()
            connection.ask(request)
            times.append(time.perf_counter() - began)
    return 1e3 * median(times)


def _deploy(running: Cluster, **arguments: object) -> None:
    """Until both replicas answer."""
    done = running.deploy({**ARGUMENTS, **arguments})
    if done.returncode:
        sys.exit(f"labeld could not be deployed: {done.stderr}")
    _until(lambda: _servers(running.nodes[0]) >= 2)


def _servers(node: Node) -> int:
    """Replicas that the proxy of a node knows to answer."""
    name = "haproxy_backend_active_servers"
    url = f"http://{node.address}:{node.environment['RAY_SERVE_HAPROXY_METRICS_PORT']}/metrics"
    with urlopen(url, timeout=10) as page:
        lines = page.read().decode().splitlines()
    counts = [float(line.split()[-1]) for line in lines if line.startswith(name)]
    return int(max(counts, default=0))


@contextmanager
def _clients(node: Node) -> Iterator[Seen]:
    """16 clients at the proxy of a node, which begin before and go on after what happens meanwhile."""
    with Connection(node.port, node.address) as connection:
        requests = [post(PATH, text, use_cache=False) for text in TEXTS]
        expected = {request: connection.ask(request)[1] for request in requests}
    with steady_clients([(node.address, node.port)], expected) as seen:
        time.sleep(2.0)
        yield seen
        time.sleep(2.0)


def _kill_replica(running: Cluster) -> Outcome:
    victim = next(pid for one in reversed(running.nodes) for pid in one.replicas())
    with _clients(running.nodes[0]) as seen:
        return Outcome(seen, _until_back(running, lambda: kill([victim])))


def _kill_node(running: Cluster) -> Outcome:
    head, other = running.nodes
    with _clients(head) as seen:
        back = _until_back(running, other.kill)
    other.start()
    other.wait_started()  # NOTE: it has no proxy before it has a replica
    while not other.replicas():  # so that the next node to fail has one
        _until_back(running, lambda: kill(head.replicas()[:1]))
    return Outcome(seen, back)


def _until_back(running: Cluster, fail: Callable[[], None]) -> float:
    """Seconds from a failure until two replicas answer again."""
    before = running.replicas()
    fail()
    began = time.monotonic()
    # NOTE: a killed process takes its time to end, and the next failure comes right after
    _until(lambda: not before <= running.replicas())
    _until(lambda: len(running.replicas()) >= len(before) <= _servers(running.nodes[0]))
    return time.monotonic() - began


def _until(condition: Callable[[], bool]) -> None:
    def holds() -> bool:
        try:
            return condition()
        except OSError:
            return False

    if not wait_until(holds, WITHIN):
        sys.exit("The cluster did not become whole again.")


def _redeploy(running: Cluster) -> Seen:
    before = running.replicas()
    with _clients(running.nodes[0]) as seen:
        _deploy(running, max_inputs=999)
        _until(lambda: not before & running.replicas())
        _deploy(running, max_inputs=999)
    return seen


def _kill_head() -> Seen:
    """Who asks at another node's proxy, while the head is away and for a while after; its state is in Redis."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        address = url.removeprefix("redis://").partition("/")[0]
        with cluster(cpus=2, RAY_REDIS_ADDRESS=address) as running:
            _deploy(running)
            head, other = running.nodes
            _until(lambda: _servers(other) >= 2)
            with _clients(other) as seen:
                head.kill()
                time.sleep(HEAD_AWAY)
                head.inside = OUT_OF_SIGHT
                head.start()
                head.wait_started()
                _until(lambda: _servers(head) >= 2)
                time.sleep(HEAD_AWAY)
    return seen


def _pull_cable() -> list[Figure]:
    limit = float(variables_of_a_node()["RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"])
    with namespaces(2) as networks, cluster(cpus=2, networks=networks) as running:
        _deploy(running)
        with _clients(running.nodes[0]) as seen:
            networks.cable(running.nodes[1].address, plugged=False)
            time.sleep(CABLE_OUT)
    slowest = Figure("ray", "a cable pulled: slowest answer", seen.slowest, "s", limit + 2.0)
    return [*_nothing_failed("a cable pulled", seen), slowest]


def _failure(name: str, outcomes: list[Outcome]) -> list[Figure]:
    backs = [one.back for one in outcomes]
    return [
        *_nothing_failed(f"{name}, {len(outcomes)} times", *(one.seen for one in outcomes)),
        Figure("ray", f"{name}: slowest answer", max(one.seen.slowest for one in outcomes), "s", BAR_SLOWEST),
        Figure("ray", f"{name}: two replicas again", max(backs), "s", BAR_BACK, detail={"each": summary(backs)}),
    ]


def _nothing_failed(name: str, *every: Seen) -> list[Figure]:
    failed = dict(sum((one.failed for one in every), Counter()))
    return [
        Figure("ray", f"{name}: wrong answers", sum(one.wrong for one in every), "", 0),
        Figure(
            "ray",
            f"{name}: failed",
            sum(failed.values()),
            "",
            0,
            detail={"right": sum(one.right for one in every), "failed": failed},
        ),
    ]
