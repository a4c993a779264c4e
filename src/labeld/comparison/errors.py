"""Failures of a comparison: those of one text, after which the next one is asked, and those that end it."""

from labeld.errors import InvalidRequestError, LabeldError


class TextFailedError(LabeldError):
    """One text was not answered by one side; the others may be."""


class TextRefusedError(TextFailedError):
    """One text was refused for what it is, such as its length: the server is well."""


class PeerLostError(LabeldError):
    """One side answers nothing more, or nothing that can be compared."""


class WrongAddressError(PeerLostError):
    """There is nothing at the path that was asked, or no such model."""


class UnreadableReplyError(TextFailedError):
    """A reply of status 200 has no scores that this dialect knows; `what` says which part is missing or wrong."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The reply {what}.")


class OtherLabelsError(PeerLostError, InvalidRequestError):
    """The peer's labels cannot be matched with the model's."""
