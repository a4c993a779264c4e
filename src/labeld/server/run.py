"""The entry point of a server: binds the port and runs the supervisor."""

import contextlib
import errno
import logging
import os
import resource
import socket

from labeld.config.settings import ConnectionLimits, Listen
from labeld.errors import SettingsError
from labeld.server import logs, unix_socket
from labeld.server.native_stderr import NativeStderr
from labeld.server.supervisor import Reload, Supervisor
from labeld.server.worker import BACKLOG, Address, AppFactory, ProcessOptions, WorkerOptions

OTHER_FILES = 256
"""File descriptors besides those of the connections."""
LEAST_FILES = 64
"""File descriptors with which a worker can start and answer."""

logger = logging.getLogger("labeld")


def serve(
    app_factory: AppFactory,
    listen: Listen,
    connections: ConnectionLimits,
    process: ProcessOptions,
    reload: Reload | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends everything at once.

    SIGHUP replaces the workers, whose options `reload` then gives; with a controlling terminal it is what closing the
    terminal sends, and drains.

    Returns the exit code: 0 after an orderly end; 1 if the port cannot be had, the application does not start, or a
    worker had to be killed after its drain (the log says which). A second signal does not return: the process
    exits with 128 + its number. Call it in the main thread.
    """
    _open_standard_streams()
    logs.configure(process.log_format)
    uds = listen.uds.expanduser() if listen.uds else None
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(unix_socket.listening(uds, BACKLOG) if uds else bind(listen))
        except OSError as error:
            why = unix_socket.why_not(uds, error) if uds else _why_not(listen, error)
            logger.error("%s", why)  # noqa: TRY400  # its sentence says all
            return 1
        allow_connections(connections)
        port = 0 if uds else listener.getsockname()[1]
        address = Address(listen.host, port, uds)
        options = WorkerOptions(app_factory, address, connections, process, NativeStderr())
        return Supervisor(options, listener, listen.workers, reload or (lambda options: options)).run()


def _open_standard_streams() -> None:
    """Opens /dev/null for each closed standard stream, or the next opened file would take its descriptor."""
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def bind(listen: Listen) -> socket.socket:
    """A socket that listens; connections wait in it until a worker is ready. Raises OSError."""
    family, kind, protocol, _, where = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        # NOTE: here and not only in the worker, so that of two servers started at once the second one fails here.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _why_not(listen: Listen, error: OSError) -> str:
    where = f"port {listen.port} of {listen.host}"
    if error.errno == errno.EADDRINUSE:
        return f"Cannot listen: {where} is already in use. Stop what listens there, or choose another --port."
    if error.errno == errno.EACCES:
        return f"Cannot listen: {where} needs privileges. Choose a --port above 1023."
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"Cannot listen: {listen.host} is not an address of this machine. Choose another --host."
    return f"Cannot listen on {where}: {error.strerror}."


def allow_connections(connections: ConnectionLimits) -> None:
    """Raise this process's own limit of open files, which the workers inherit, as far as the system lets it.

    Raises SettingsError where that is too few for a worker to start at all.
    """
    count = connections.max_connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if wanted < LEAST_FILES:
        raise SettingsError(
            f"A server needs {LEAST_FILES} file descriptors at least, but may have {wanted}: raise it (ulimit -n)."
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
