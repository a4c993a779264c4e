"""The failures that only the application raises."""

from labeld.errors import LabeldError


class TooSlowError(LabeldError):
    """The answer takes longer than the proxy in front waits for it, which is `seconds`."""

    status = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This request was not answered within {seconds:g} seconds, for which the proxy in front waits: send fewer "
            "texts in one request."
        )
        self.seconds = seconds
