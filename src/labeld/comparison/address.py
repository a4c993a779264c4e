"""The address of a peer: a URL without secrets, and the path at which a dialect is asked."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from labeld.comparison.dialects import ClientDialect
from labeld.errors import InvalidRequestError
from labeld.system.loopback import is_loopback


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Scheme, host and port of a server, and the path that was given with them."""

    scheme: str
    host: str
    """Name or IP address, without brackets."""
    port: int
    path: str
    """As it was given, without a slash at its end; empty for the server's root."""

    @property
    def origin(self) -> str:
        """`http://host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The whole of it."""
        return self.origin + self.path

    @property
    def is_loopback(self) -> bool:
        """True when the server is reached through an address of this machine only."""
        return self.host == "localhost" or is_loopback(self.host)

    def url(self, path: str) -> str:
        """The URL of a path below the one that was given."""
        return f"{self.origin}{self.path}{path}"

    def url_of(self, dialect: ClientDialect, model: str) -> str:
        """The URL at which a dialect is asked: the address itself where it has the dialect's path already."""
        if self.has_path_of(dialect):
            return self.shown
        return self.url(dialect.path.replace("{model}", quote(model, safe="/@")))

    def has_path_of(self, dialect: ClientDialect) -> bool:
        """Whether the path that was given ends in the dialect's own."""
        if dialect.path == "/":
            return bool(self.path)
        pattern = re.escape(dialect.path).replace(r"\{model\}", ".+")
        return re.search(f"{pattern}$", self.path) is not None


def read_address(url: str) -> PeerAddress:
    """The address that a URL names; raises InvalidRequestError where it names none, or carries a secret."""
    try:
        parts = urlsplit(url)
        default = {"http": 80, "https": 443}.get(parts.scheme, 0)
        port = default and (default if parts.port is None else parts.port)
    except ValueError:
        parts, port = urlsplit(""), 0
    if not port or not parts.hostname or not url.isascii() or any(one.isspace() for one in url):
        raise InvalidRequestError(
            f"--against is {url[:200]!r}, but must be transformers, or a URL such as http://localhost:8080."
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidRequestError(
            "--against has a user, a query or a fragment, which others could read in a list of processes or in the "
            "report: give the bare URL, and a token by --against-token-file."
        )
    return PeerAddress(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))
