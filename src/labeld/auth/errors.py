"""Errors of authentication and authorization, as in `labeld.errors`: a class each, with a sentence for the client."""

import math

from labeld.errors import (
    BodyTooLargeError,
    HeaderField,
    InvalidRequestError,
    LabeldError,
    OverloadedError,
    UnavailableError,
)
from labeld.interface import Interface

CHALLENGE: HeaderField = (b"www-authenticate", b'Bearer realm="Authentication required", charset="UTF-8"')
"""`www-authenticate`, the challenge in every reply with 401."""


class AnonymousError(LabeldError):
    """The request has no access token in the Authorization header, or something else there."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "Invalid username or password: this needs an access token, in the header Authorization: Bearer hf_*** and "
            "nowhere else."
        )

    def headers(self) -> list[HeaderField]:
        """`www-authenticate`, the challenge."""
        return [CHALLENGE]


class UnknownTokenError(LabeldError):
    """The access token is malformed, unknown, revoked or expired; the sentence does not reveal which."""

    status = 401

    def __init__(self) -> None:
        super().__init__("Invalid username or password.")

    def headers(self) -> list[HeaderField]:
        """`www-authenticate`, the challenge."""
        return [CHALLENGE]


class ForbiddenTokenError(LabeldError):
    """The access token is valid, but its role or its models do not allow this request."""

    status = 403


class BadHostError(InvalidRequestError):
    """The Host header is missing, repeated or malformed."""

    def __init__(self) -> None:
        super().__init__("The Host header must be one host, with or without a port: send Host: 127.0.0.1:8080.")


class ForeignHostError(LabeldError):
    """The Host header is not an accepted Host name: a web page may have pointed its own name at this machine."""

    status = 403

    def __init__(self, host: str) -> None:
        super().__init__(
            f"This server does not answer to the name {host[:100]!r}: use its IP address, or have its operator add the "
            "name (setting hosts)."
        )
        self.host = host


class ForeignOriginError(LabeldError):
    """A web page of another origin sends a request through its visitor's browser."""

    status = 403

    def __init__(self, origin: str | None) -> None:
        where = "another site" if origin is None else repr(origin[:100])
        super().__init__(
            f"Web pages of {where} may not ask this server: have its operator name them (setting origins; they ask "
            "the API, and no page)."
        )
        self.origin = origin


class RateLimitedError(OverloadedError):
    """The access token has reached its limit of requests per minute, for `retry_after` seconds more."""

    def __init__(self, per_minute: int, retry_after: float) -> None:
        super().__init__(
            f"Rate limit reached: this access token may send {per_minute} requests per minute; try again in "
            f"{math.ceil(retry_after)} seconds.",
            retry_after,
            "per_minute",
        )
        self.per_minute = per_minute

    def headers(self) -> list[HeaderField]:
        """`retry-after`, and the limit in the fields that huggingface_hub reads."""
        seconds = math.ceil(self.retry_after)
        return [
            (b"retry-after", b"%d" % seconds),
            (b"ratelimit", b'"api";r=0;t=%d' % seconds),
            (b"ratelimit-policy", b'"fixed window";"api";q=%d;w=60' % self.per_minute),
        ]


class FormTooLargeError(BodyTooLargeError):
    """A form of the pages is larger than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        LabeldError.__init__(
            self, f"The form is larger than the limit of {limit} bytes: shorten what is in its fields."
        )
        self.limit = limit


class TokenRequestError(InvalidRequestError):
    """An access token cannot be made or changed as requested; the sentence names the invalid field."""


class TokenNotFoundError(LabeldError):
    """No access token has this id."""

    status = 404

    def sentence(self, interface: Interface) -> str:
        """Says where the ids are shown."""
        shown = "the page of access tokens" if interface.way is Interface.HTTP else "`labeld tokens list`"
        return f"There is no access token with this id: {shown} shows the ids."


class TokenStoreUnavailableError(UnavailableError):
    """The database of access tokens is unavailable, so no token can be validated.

    NOTE: never answer it with 401, at which clients discard good tokens (reliability section 3.10).
    """

    def __init__(self, reason: str = "does not answer: try again in a moment") -> None:
        super().__init__(f"The database of access tokens {reason}.", 2.0)
