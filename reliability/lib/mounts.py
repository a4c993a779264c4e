"""Small disks of one's own that are full, read-only or slow, where this user may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labeld.system.memory import CONTROL_GROUPS

MIB = 1024 * 1024


def may_mount(folder: Path) -> bool:
    """Whether a disk can be mounted here: by root, and where a container lets him."""
    with suppress(OSError, subprocess.CalledProcessError), small_disk(folder / "probe", 1):
        return True
    return False


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A disk in memory of this size, at this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={mebibytes}M", "none"):
        yield folder


def fill(folder: Path) -> Path:
    """Takes all that is free of a disk; the file that holds it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for block in (bytes(MIB // 16), bytes(4096), b"\0"):
            with suppress(OSError):
                while True:
                    file.write(block)
    return filler


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """While nobody may write to the disk of this folder; nobody may have a file open for that, either."""
    _run("mount", "-o", "remount,ro", str(folder))
    try:
        yield
    finally:
        _run("mount", "-o", "remount,rw", str(folder))


class SlowDisk:
    """A file with a file system of its own, from which processes in a control group read and write slowly."""

    def __init__(self, folder: Path, group: Path) -> None:
        self.folder, self._group = folder, group
        status = folder.stat()
        self._device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"

    def enter(self) -> None:
        """Puts the calling process, and all that it starts from now on, among those for whom it is slow."""
        (self._group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def limit(self, bytes_per_second: int) -> None:
        """Slow from now on; 0 ends it."""
        for what in ("read", "write"):
            file = self._group / f"blkio.throttle.{what}_bps_device"
            file.write_text(f"{self._device} {bytes_per_second}", encoding="ascii")

    def forget(self) -> None:
        """Drops what the kernel has of its files in memory, so that they are read from the disk."""
        os.sync()
        for path in self.folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def slow_disk(folder: Path, mebibytes: int) -> Iterator[SlowDisk | None]:
    """A disk at this folder that can be made slow; None where the kernel or this user cannot (cgroup version 1)."""
    image, group = folder.with_name(f"{folder.name}.image"), CONTROL_GROUPS / f"blkio/labeld-reliability-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(mebibytes * MIB)
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        _run("mkfs.ext4", "-q", str(image))
        with _mounted(folder, "-o", "loop", str(image)):
            yield SlowDisk(folder, group)
    finally:
        group.rmdir()


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    _run("mount", *arguments, str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
