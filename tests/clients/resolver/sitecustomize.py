"""A replacement of /etc/hosts for one process: router.huggingface.co is on this machine.

There TLS has the port that `LABELD_TEST_ROUTER` says, because 443 is not for everybody to listen on.
"""

import os
import socket
from typing import Any

HERE = ("127.0.0.1", 443)

resolve, connect = socket.getaddrinfo, socket.socket.connect


def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    """The addresses of a host."""
    ours = host in ("router.huggingface.co", b"router.huggingface.co")
    return resolve(HERE[0] if ours else host, port, *arguments, **options)


def connect_here(connection: socket.socket, address: Any) -> None:
    """Connects to an address, on the port that stands for 443."""
    connect(connection, (HERE[0], int(os.environ["LABELD_TEST_ROUTER"])) if address == HERE else address)


socket.getaddrinfo = getaddrinfo
socket.socket.connect = connect_here  # type: ignore[method-assign]  # as long as this process lives
