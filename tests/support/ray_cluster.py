"""A cluster of Ray on this machine for tests and benchmarks: each node has its own processes, ports and folder."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.support.paths import ROOT
from tests.support.server_process import wait_until

OBJECT_STORE = 100 * 1024 * 1024
START_LIMIT = 240.0
STARTED = "Ray runtime started"
"""What `ray start` says then."""
VARIABLES = ROOT / "deploy/ray/cluster.env"
"""What a node of a real cluster has in its environment."""


PATIENT = {
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}
"""A machine that others use, too, is no broken one."""


class Networks(Protocol):
    """Networks in which nodes have addresses of their own."""

    addresses: list[str]

    def inside(self, address: str) -> tuple[str, ...]:
        """The command with which a process is started at an address."""
        ...


def free_ports(count: int) -> list[int]:
    """So many free ports."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass
class Node:
    """A node: the processes below one `ray start`."""

    address: str
    folder: Path
    port: int
    """On which its proxy answers."""
    environment: dict[str, str]
    arguments: list[str]
    inside: tuple[str, ...] = ()
    """The command with which a process is started in the node's network."""
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Starts it; its log is in its folder."""
        script = "from ray.scripts.scripts import main; main()"
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*self.inside, sys.executable, "-c", script, "start", "--block", *self.arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )

    def wait_started(self) -> None:
        """Until it is a node of the cluster. NOTE: on a busy machine Ray gives up after 30 s, so this tries again."""
        end = time.monotonic() + START_LIMIT
        while STARTED not in (self.folder / "log").read_text():
            assert time.monotonic() < end, (self.folder / "log").read_text()
            if self.process is None or self.process.poll() is not None:
                self.kill()
                self.start()
            time.sleep(0.05)

    def processes(self) -> list[int]:
        """All of them."""
        return [] if self.process is None else of_session(self.process.pid)

    def replicas(self) -> list[int]:
        """The processes of its replicas."""
        return [pid for pid in self.processes() if title(pid).startswith("ray::ServeReplica")]

    def kill(self) -> None:
        """Ends all of it at once, as if the machine had gone."""
        kill(self.processes())
        if self.process is not None:
            self.process.wait()
            self.process = None


@dataclass
class Cluster:
    """A running cluster; its first node is the head."""

    folder: Path
    address: str
    nodes: list[Node] = field(default_factory=list)

    def replicas(self) -> set[int]:
        """The processes of all replicas."""
        return {pid for one in self.nodes for pid in one.replicas()}

    def deploy(self, arguments: dict[str, Any], **options: Any) -> "subprocess.CompletedProcess[str]":
        """Deploys labeld with these arguments, as its only application; it may take a while until it answers."""
        application = {"name": "labeld", "import_path": "labeld.ray_serve:app", "args": arguments, **options}
        config = {
            "proxy_location": "EveryNode",
            "http_options": {"host": "0.0.0.0", "port": self.nodes[0].port},
            "applications": [application],
        }
        file = self.folder / "serve.yaml"
        file.write_text(yaml.safe_dump(config))
        return self.python(
            "import sys; from ray.serve.scripts import cli; sys.argv[0] = 'serve'; cli()",
            "run",
            "--non-blocking",
            "--address",
            self.address,
            str(file),
        )

    def status(self) -> dict[str, Any]:
        """The status of the application, as `serve status` has it."""
        script = (
            "import json, ray, sys; from ray import serve; "
            "ray.init(sys.argv[1], namespace='serve', log_to_driver=False, logging_level='ERROR'); "
            "one = serve.status().applications['labeld']; deployment = one.deployments.get('labeld'); "
            "print('\\n' + json.dumps({'status': one.status, 'message': one.message, "
            "'deployment': deployment and deployment.message, "
            "'replicas': deployment and {str(k): n for k, n in deployment.replica_states.items()}}))"
        )
        done = self.python(script, self.address)
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stdout.splitlines() if line.startswith("{")]  # Ray adds warnings of its own
        found: dict[str, Any] = json.loads(line)
        return found

    def python(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A Python script in the head's network."""
        head = self.nodes[0]
        return subprocess.run(
            [*head.inside, sys.executable, "-c", script, *arguments],
            env=head.environment,
            capture_output=True,
            text=True,
            timeout=START_LIMIT,
            check=False,
            cwd=self.folder,
        )

    def wait_ready(self, replicas: int) -> None:
        """Until each proxy answers and so many replicas run."""

        def ready() -> bool:
            return len(self.replicas()) >= replicas and all(
                answers(one.address, one.port) for one in self.nodes if one.process
            )

        assert wait_until(ready, START_LIMIT), f"not ready: {self.logs()}"

    def logs(self) -> str:
        """What the nodes have logged."""
        return "\n".join((one.folder / "log").read_text()[-2000:] for one in self.nodes)

    def end(self) -> None:
        """Ends all its processes."""
        for one in reversed(self.nodes):
            one.kill()


def answers(address: str, port: int) -> bool:
    """Whether labeld is ready behind a proxy."""
    with suppress(OSError), socket.create_connection((address, port), 2.0) as connection:
        connection.settimeout(5.0)
        connection.sendall(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False


@contextmanager
def cluster(nodes: int = 2, cpus: int = 1, networks: Networks | None = None, **variables: str) -> Iterator[Cluster]:
    """A cluster whose nodes are on the loopback network, or each in its own; nothing of it is left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="labeld-ray-", dir="/tmp"))
    head_port, *ports = free_ports(1 + 7 * nodes)
    addresses = networks.addresses if networks else [f"127.0.77.{index + 1}" for index in range(nodes)]
    running = Cluster(folder, f"{addresses[0]}:{head_port}")
    try:
        for address in addresses:
            own = [ports.pop() for _ in range(7)]
            node = _node(running, address, own, cpus, variables)
            node.inside = networks.inside(address) if networks else ()
            running.nodes.append(node)
            node.start()
            assert wait_until(lambda: _listens(addresses[0], head_port), START_LIMIT), running.logs()
        for node in running.nodes:
            node.wait_started()
        yield running
    finally:
        running.end()
        shutil.rmtree(folder, ignore_errors=True)


def _node(running: Cluster, address: str, ports: list[int], cpus: int, variables: dict[str, str]) -> Node:
    index = len(running.nodes)
    folder = running.folder / f"n{index}"
    folder.mkdir()
    port = ports[0]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LABELD_", "RAY_"))},
        **variables_of_a_node(),
        **haproxy_files(folder),
        "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(port),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports[1]),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports[2]),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        **PATIENT,
        "LABELD_CACHE_DIR": str(folder / "cache"),
        "LABELD_HUB": "off",
        **variables,
    }
    place = ["--head", f"--port={running.address.rpartition(':')[2]}", f"--ray-client-server-port={ports[6]}"]
    place += [f"--temp-dir={folder}/t", "--include-dashboard=false"]
    if index:
        place = [f"--address={running.address}"]
    arguments = [
        *place,
        f"--node-ip-address={address}",
        f"--num-cpus={cpus}",
        f"--object-store-memory={OBJECT_STORE}",
        "--disable-usage-stats",
        f"--node-manager-port={ports[3]}",
        f"--object-manager-port={ports[4]}",
        f"--metrics-export-port={ports[5]}",
    ]
    return Node(address, folder, port, environment, arguments)


def variables_of_a_node() -> dict[str, str]:
    """Those of deploy/ray/cluster.env."""
    lines = shlex.split(VARIABLES.read_text(), comments=True)
    return dict(line.split("=", 1) for line in lines)


def haproxy_files(folder: Path) -> dict[str, str]:
    """The variables that keep the files of a node's HAProxy in this folder."""
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
    }


def _listens(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1.0):
        return True
    return False


def of_session(session: int) -> list[int]:
    """All processes of a session that still live, whoever their parents are."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(folder.name))
    return found


def title(pid: int) -> str:
    """What a process calls itself."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def kill(pids: list[int]) -> None:
    """Ends these processes at once."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
