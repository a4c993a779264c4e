"""The parser takes a chunked body that has a Content-Length as well, as some servers do."""

from typing import Any

from labeld.server.http_protocol import LimitedProtocol
from reliability.faults import Patches

REDDENS = "desynchronised"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def begin(self: Any, **options: Any) -> None:
            real(self, **options)
            self.parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_transfer_encoding=True)

        return begin

    patches.replace(LimitedProtocol, "__init__", faulty)
