"""TLS in front of a server that speaks plain HTTP, with a certificate for a name that is not ours."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import trustme


@dataclass
class Front:
    """Where it listens, and what its clients must trust."""

    port: int
    authority: Path


class _Server(ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that left: no news."""


@contextmanager
def tls_front(address: tuple[str, int], name: str, folder: Path) -> Iterator[Front]:
    """Takes TLS connections to `name` and passes their bytes on to `address`."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.cert_pem.write_to_path(folder / "authority.pem")

    class Handler(BaseRequestHandler):
        """One connection."""

        def handle(self) -> None:
            """Passes bytes both ways until either side ends."""
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(address) as server,
            ):
                threading.Thread(target=_copy, args=(server, client), daemon=True).start()
                _copy(client, server)

    front = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield Front(front.server_address[1], folder / "authority.pem")
    finally:
        front.shutdown()
        front.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
