"""The log on stderr: warnings for people, or everything as lines of JSON, one of them for each request.

Whatever a client has sent stays inside its line: control characters are escaped, and what looks like an access token is
blanked, wherever it stands. The texts of requests are written only if the settings say so.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from labeld.server.log_output import BackgroundLineHandler, LineHandler, write_now
from labeld.system.printable import printable

if TYPE_CHECKING:  # NOTE: the supervisor writes, too, and needs nothing of this
    from labeld.auth.records import AccessToken
    from labeld.types import ClassifyReply, ClassifyRequest

TOKEN = re.compile(r"hf_(?!endpoint\b)[A-Za-z0-9]{8,}")
"""Form of an access token, of this server or of another; a setting has such a name."""
BLANKED = "hf_***"
STDOUT, STDERR = 1, 2
"""NOTE: file descriptors, because Python has no stream for one that was closed before it began."""

logger = logging.getLogger("labeld.requests")


class TextFormatter(logging.Formatter):
    """A line for people; the traceback of an exception is indented below it, so that no line can be forged."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        lines = [self.formatMessage(record)]
        if record.exc_info:
            lines += [f"  {line}" for line in self.formatException(record.exc_info).split("\n")]
        return TOKEN.sub(BLANKED, "\n".join(printable(line) for line in lines))


class JsonFormatter(logging.Formatter):
    """A line of JSON, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, the fields of a request, and the traceback if there is one."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return TOKEN.sub(BLANKED, json.dumps(line).replace("\x7f", "\\u007f"))  # NOTE: JSON leaves DEL as it is


def configure(log_format: str) -> None:
    """Write to stderr from now on in this process, which has one thread: warnings and errors."""
    _install(LineHandler(STDERR), log_format)


def configure_in_background(log_format: str, file: int = STDERR) -> None:
    """Write to a file descriptor from now on, on a thread: warnings and, as JSON, requests. `flush` ends it."""
    handler = BackgroundLineHandler(file)
    _install(handler, log_format)
    logging.captureWarnings(capture=True)
    if log_format == "json":
        logger.setLevel(logging.INFO)
    handler.start()


def _install(handler: logging.Handler, log_format: str) -> None:
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def dropped_lines() -> int:
    """Lines of this process that could not be written."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, LineHandler))


def flush() -> None:
    """Write what waits, briefly: the last act of a process that ends."""
    logging.shutdown()


class LoggedRequest(Protocol):
    """A request, as far as the log shows it. What did not become known is None."""

    @property
    def request_id(self) -> str:
        """Id in the reply's `x-request-id`."""

    @property
    def route(self) -> str:
        """The template of its path."""

    @property
    def model(self) -> str | None:
        """The id of the model that it names."""

    @property
    def access_token(self) -> "AccessToken | None":
        """The caller's access token."""

    @property
    def asked(self) -> "ClassifyRequest | None":
        """The parsed request, of a request to classify."""

    @property
    def reply(self) -> "ClassifyReply | None":
        """Its reply, of a request to classify."""


class RequestLog:
    """Writes a line for each request."""

    def __init__(self, *, texts: bool) -> None:
        self._texts = texts

    def answered(self, method: str, request: LoggedRequest, status: int, seconds: float) -> None:
        """One request: who asked what of which model, and how it went."""
        access_token, asked, reply = request.access_token, request.asked, request.reply
        fields: dict[str, Any] = {
            "request_id": request.request_id,
            "method": method,
            "route": request.route,
            "model": request.model,
            "status": status,
            "milliseconds": round(seconds * 1000, 3),
            "token_id": access_token and access_token.token_id,
            "token_name": access_token and access_token.name,
        }
        if asked is not None:
            fields |= {"texts": len(asked.texts), "characters": asked.characters}
            if self._texts:
                fields["inputs"] = [text if pair is None else [text, pair] for text, pair in asked.texts]
        if reply is not None:
            fields["compute_type"] = reply.compute_type
        logger.info("request", extra={"fields": fields})

    def refused(self, request_id: str, status: int) -> None:
        """Log a request that the connection refused before the application saw it."""
        logger.info("refused by the connection", extra={"fields": {"request_id": request_id, "status": status}})


def announce(sentence: str, log_format: str) -> None:
    """Say on stdout that the server answers, in the format of the log; nobody need read it."""
    if log_format == "json":
        record = logging.LogRecord(logger.name, logging.INFO, "", 0, sentence, None, None)
        sentence = JsonFormatter().format(record)
    write_now(STDOUT, f"{sentence}\n".encode())
