"""A Unix socket to listen on: made for its owner and group, and removed at the end."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

OTHERS = 0o117
"""The umask for the socket's file, whose mode is 0660 from its creation on."""
PROBE_SECONDS = 1.0


@contextlib.contextmanager
def listening(path: Path, backlog: int) -> Iterator[socket.socket]:
    """A socket that listens at the path, which is removed at the end if it is still the same one.

    One that a killed server has left behind is replaced. Raises OSError: EADDRINUSE when somebody listens there, EEXIST
    when the file is no socket.
    """
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        mask = os.umask(OTHERS)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        made = path.stat().st_ino
        try:
            listener.listen(backlog)
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == made:
                    path.unlink()


def why_not(path: Path, error: OSError) -> str:
    """The sentence for an operator about a path at which a server cannot listen."""
    if error.errno == errno.EADDRINUSE:
        return f"Cannot listen: {path} is already in use. Stop what listens there, or choose another --uds."
    if error.errno == errno.EEXIST:
        return f"Cannot listen: {path} is there and no socket. Remove it, or choose another --uds."
    return f"Cannot listen at {path}: {error.strerror or error}. Choose another --uds."


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:  # nobody listens
            path.unlink()
            return
        except (BlockingIOError, TimeoutError):  # somebody does, whose queue is full
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
