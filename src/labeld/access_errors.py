"""The failures of who may ask, as in errors.py: one class each, no HTTP, a sentence that may be shown to the client."""

import math

from labeld.errors import InvalidRequestError, LabeldError, UnavailableError


class UnknownKeyError(LabeldError):
    """The access token is missing, malformed, unknown, revoked or expired; which of these is not said."""

    def __init__(self) -> None:
        super().__init__("Invalid username or password.")


class ForbiddenKeyError(LabeldError):
    """The access token counts, but not for this: its role or its models do not allow it."""


class RateLimitedError(LabeldError):
    """The access token has had its requests of this minute; the next begins in `retry_after` seconds."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(
            f"Rate limit reached: this access token may send {limit} requests per minute; try again in "
            f"{math.ceil(retry_after)} seconds."
        )
        self.limit, self.retry_after = limit, retry_after


class KeyRequestError(InvalidRequestError):
    """An access token cannot be made or changed like this; the sentence names what is wrong."""


class KeyNotFoundError(LabeldError):
    """No access token has this id."""

    def __init__(self) -> None:
        super().__init__("There is no access token with this id: `labeld keys list` shows the ids.")


class KeyStoreUnavailableError(UnavailableError):
    """The database of the access tokens cannot be asked, so nobody can tell whether a token counts.

    NOTE: never to be answered with 401, upon which clients throw good tokens away (reliability section 3.10).
    """

    def __init__(self, reason: str = "does not answer: try again in a moment") -> None:
        super().__init__(f"The database of access tokens {reason}.", 2.0)
