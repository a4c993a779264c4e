"""How much memory there is, and how much of it this process has."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labeld.config.settings import ByteSize
from labeld.system import memory

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "whole", "expected"),
    [
        ("70%", 1000, 700),
        ("12.5 %", 1000, 125),
        ("0", 1000, 0),
        ("123", 1000, 123),
        ("123B", 1000, 123),
        ("4GiB", 1000, 4 * 1024**3),
        ("4gb", 1000, 4 * 10**9),
        (" 1.5 MiB ", 1000, 1536 * 1024),
        ("2KB", 1000, 2000),
        ("1TiB", 1000, 1024**4),
    ],
)
def test_amounts(text: str, whole: int, expected: int) -> None:
    """Bytes with decimal and binary units, and shares."""
    assert expected == ByteSize(text).of(whole)


@pytest.mark.parametrize("text", ["", "GiB", "-1", "4 apples", "1e9", "nan", "%", "1,5GB", "4IB", "4KiBB", "٤"])
def test_what_is_no_amount(text: str) -> None:
    """Is refused."""
    with pytest.raises(ValueError, match="neither bytes nor a share"):
        ByteSize(text)


def test_what_is_allocated_is_used_and_comes_back() -> None:
    """64 MiB, to within what else the process does; pages of a file do not count."""
    before = memory.used()
    block = np.ones(64 * MIB, np.uint8)
    with_block = memory.used()
    del block
    memory.trim_heap()

    assert 60 * MIB < with_block - before < 80 * MIB
    assert memory.used() < with_block - 50 * MIB


def test_small_blocks_come_back_too() -> None:
    """Freed memory that glibc would keep in its heap is returned."""
    blocks = [bytes(1000) for _ in range(50_000)]
    full = memory.used()
    pin = bytes(1000)
    del blocks
    memory.trim_heap()

    assert memory.used() < full - 30 * MIB
    assert len(pin) == 1000


def test_pages_of_a_file_are_not_used(tmp_path: Path) -> None:
    """They could be given back at any time."""
    (tmp_path / "file").write_bytes(bytes(64 * MIB))
    before = memory.used()
    mapped = np.memmap(tmp_path / "file", np.uint8, mode="r")

    assert 0 == int(mapped.sum())
    assert memory.used() - before < 20 * MIB


def groups(root: Path, membership: str, **limits: str) -> Path:
    """A tree of control groups with these limits, of which this process is in some; the file that says which."""
    for name, limit in limits.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(
            path.name.replace("_", ".", 1) if "limit" not in path.name else "memory.limit_in_bytes"
        ).write_text(limit)
    (root / "membership").write_text(membership)
    return root / "membership"


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/\n", {"memory_max": "500\n"}, [500]),
        ("0::/a/b\n", {"a__b__memory_max": "max\n", "a__memory_max": "700\n"}, [700]),
        ("0::/a/b\n", {"a__b__memory_max": "300\n", "a__memory_max": "700\n"}, [300, 700]),
        ("0::/not/seen/here\n", {"memory_max": "500\n"}, [500]),
        ("4:memory:/docker/x\n0::/\n", {"memory__docker__x__memory_limit": "400\n"}, [400]),
        ("4:memory:/not/seen\n", {"memory__memory_limit": "400\n"}, [400]),
        ("3:cpu:/a\n", {"a__memory_max": "1\n", "memory__a__memory_limit": "1\n"}, []),
        ("0::/a\n", {}, []),
        ("0::/a\n", {"a__memory_max": "max\n", "memory_max": "max\n"}, []),
        ("0::/é/b\n", {"memory_max": "7\n"}, [7]),
    ],
)
def test_limits_of_control_groups(tmp_path: Path, membership: str, limits: dict[str, str], expected: list[int]) -> None:
    """Those of version 2 and 1, of the group itself and of all around it."""
    assert expected == list(memory._limits(tmp_path, groups(tmp_path, membership, **limits)))


@pytest.mark.parametrize("limit", [None, "max\n"])
def test_a_machine_without_limits_has_its_own_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None
) -> None:
    """As on most machines outside of containers, and where the control groups cannot be seen."""
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)

    assert memory.available() > memory.used()


def test_a_kernel_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    """And no list of those that a process is in."""
    assert [] == list(memory._limits(tmp_path, tmp_path / "cgroup"))


@pytest.mark.server
@pytest.mark.skipif(os.getuid() != 0, reason="only root may hide the control groups from a process")
def test_a_machine_without_limits_answers() -> None:
    """The main job, where no file of the control groups is in sight."""
    command = f"mount -t tmpfs none /sys/fs/cgroup && exec {sys.executable} -m labeld classify good"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


def test_there_is_memory() -> None:
    """More than this process uses, and no more than the machine has."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024

    assert 0 < memory.available() <= total
