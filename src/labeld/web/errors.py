"""The failures that only the application raises."""

from collections.abc import Sequence

from labeld.errors import LabeldError

SHOWN_POLICIES = 10


class TooSlowError(LabeldError):
    """The answer takes longer than the proxy in front waits for it, which is `seconds`."""

    status = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This request was not answered within {seconds:g} seconds, for which the proxy in front waits: send fewer "
            "texts in one request."
        )
        self.seconds = seconds


class NoPolicyError(LabeldError):
    """There is no policy of this name, None being the default one."""

    status = 404

    def __init__(self, name: str | None, policies: Sequence[str]) -> None:
        if policies:
            which = "no policy called default" if name is None else f"no policy and no model {name[:100]!r}"
            out = (
                f"name one of {', '.join(policies[:SHOWN_POLICIES])}{', …' if len(policies) > SHOWN_POLICIES else ''}."
            )
        else:
            which = "no policy" if name is None else f"no policy, and no model {name[:100]!r}"
            out = (
                "add one under `policies` in its configuration file, as the guide Guard in labeld's documentation "
                "shows, or name a model that it serves."
            )
        super().__init__(f"This server has {which}: {out}")


class PolicyBrokenError(LabeldError):
    """A policy of the configuration file names what its models do not have."""

    def __init__(self, policy: str, sentence: str) -> None:
        super().__init__(f"The policy {policy} in the configuration of this server cannot be used: {sentence}")
