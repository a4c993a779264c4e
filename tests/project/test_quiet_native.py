"""Open files and remains of a server, as the kernel sees them, since audit hooks do not see native code."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import BUNDLED_IDS
from tests.support.server_process import Server, serving

WRITING = os.O_WRONLY | os.O_RDWR
LISTEN, ESTABLISHED = "0A", "01"
TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")


def open_files(pid: int) -> Iterator[tuple[str, bool]]:
    """Target of each file descriptor of a process, and whether it is writable."""
    for entry in (Path("/proc") / str(pid) / "fd").iterdir():
        flags = next(
            line.split()[1]
            for line in (Path("/proc") / str(pid) / "fdinfo" / entry.name).read_text().splitlines()
            if line.startswith("flags:")
        )
        yield str(entry.readlink()), bool(int(flags, 8) & WRITING)


def network(pids: list[int]) -> set[tuple[str, str, int]]:
    """Table, state and local port of each network socket that these processes hold."""
    held = {target for pid in pids for target, _ in open_files(pid) if target.startswith("socket:")}
    found = set()
    for table in TABLES:
        for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if f"socket:[{rest[5]}]" in held:
                found.add((table, state, int(local.rpartition(":")[2], 16)))
    return found


def written(pids: list[int]) -> set[str]:
    """Regular files that these processes may write to."""
    targets = {target for pid in pids for target, writes in open_files(pid) if writes and target.startswith("/")}
    return {target for target in targets if not target.startswith("/dev/")}


def ask_all(server: Server) -> None:
    """A request to each bundled model, and one that is refused."""
    for model in (*BUNDLED_IDS, "none"):
        server.post(f"/models/{model}", json={"inputs": "hello"})


def test_a_server_has_only_its_listener_and_its_workers(tmp_path: Path) -> None:
    """Its processes are the supervisor and the worker; its only socket beyond those of callers listens."""
    with serving(tmp_path, anew=True) as server:
        ask_all(server)
        pids, port = server.processes(), server.address[1]
        commands = [(Path("/proc") / str(pid) / "cmdline").read_text().split("\0") for pid in pids]
        sockets, files = network(pids), written(pids)

    assert [True, True] == ["serve" in command for command in commands]
    assert {("tcp", LISTEN, port), ("tcp", ESTABLISHED, port)} == sockets
    assert {str(server.log)} == {name for name in files if not name.startswith(str(tmp_path / "cache"))}


def test_a_server_leaves_files_only_in_its_own_folders(tmp_path: Path) -> None:
    """The home folder, the folder of temporary files and the working folder stay as they were."""
    folders = {name: tmp_path / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    for folder in folders.values():
        folder.mkdir()
    with serving(tmp_path, **{name: str(folder) for name, folder in folders.items()}) as server:
        ask_all(server)

    assert [] == [path for folder in folders.values() for path in folder.rglob("*")]
    assert {"cache", "tokens", "stderr", *(folder.name for folder in folders.values())} == {
        one.name for one in tmp_path.iterdir()
    }


def test_the_look_at_the_kernel_sees_what_it_looks_for(tmp_path: Path) -> None:
    """A planted datagram socket and an open file are noticed."""
    plant = (
        "import socket, sys; one = socket.socket(type=socket.SOCK_DGRAM); one.bind(('127.0.0.1', 0));"
        f"file = open({str(tmp_path / 'planted')!r}, 'w'); print(one.getsockname()[1], flush=True); sys.stdin.read()"
    )
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen([sys.executable, "-c", plant], stdin=pipe, stdout=pipe, stderr=nothing) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        sockets, files = network([process.pid]), written([process.pid])
        process.communicate()

    assert {("udp", "07", port)} == sockets
    assert {str(tmp_path / "planted")} == files
