"""Failures of finding and downloading models. The base class and general failures are in labeld/errors.py."""

from typing import Literal

from labeld.errors import HeaderField, LabeldError, UnavailableError, format_bytes
from labeld.interface import Interface

_OFFLINE = {
    Interface.HTTP: "HF_HUB_OFFLINE",
    Interface.PYTHON: "offline=True or HF_HUB_OFFLINE",
    Interface.COMMAND_LINE: "--offline or HF_HUB_OFFLINE",
}


class AmbiguousModelError(LabeldError):
    """A bare name fits several models."""

    status = 400

    def __init__(self, name: str, candidates: list[str]) -> None:
        super().__init__(f"Model {name} is ambiguous: ask for one of {', '.join(candidates)}.")
        self.name, self.candidates = name, candidates


class NotDownloadedError(LabeldError):
    """The model is not on this machine, and labeld may not download it: it is offline, or hub_allow lacks the model."""

    status = 404

    def __init__(self, name: str, reason: Literal["offline", "hub_allow"]) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def sentence(self, interface: Interface) -> str:
        """Names the setting that keeps labeld from downloading it."""
        reason = (
            f"it is offline ({_OFFLINE[interface.way]})"
            if self.reason == "offline"
            else f"{interface.setting('hub_allow')} does not name it"
        )
        if interface.way is Interface.HTTP:
            return f"Model {self.name} is not on this server, which does not ask the Hub for it: {reason}."
        return f"Model {self.name} is not on this machine, and labeld does not ask the Hub for it: {reason}."


class GatedModelError(LabeldError):
    """The Hub refuses the model to this process's token (HF_TOKEN), or to a client without one."""

    status = 403

    def __init__(self, model_id: str) -> None:
        super().__init__(model_id)
        self.model_id = model_id

    def sentence(self, interface: Interface) -> str:
        """Names the place of the token."""
        token = {
            Interface.HTTP: "give this server a token that has it (HF_TOKEN)",
            Interface.PYTHON: "pass a token that has it (hf_token or HF_TOKEN)",
            Interface.COMMAND_LINE: "set HF_TOKEN to a token that has it",
        }[interface.way]
        return f"Access to model {self.model_id} is restricted: ask for access on the Hub, and {token}."

    def headers(self) -> list[HeaderField]:
        """`x-error-code`, from which huggingface_hub makes its own exception."""
        return [(b"x-error-code", b"GatedRepo")]


class DownloadTooLargeError(LabeldError):
    """The files of the model are larger than the setting max_download."""

    status = 403

    def __init__(self, model_id: str, size: int, limit: int) -> None:
        super().__init__(model_id, size, limit)
        self.model_id, self.size, self.limit = model_id, size, limit

    def sentence(self, interface: Interface) -> str:
        """Both sizes, and how to raise the limit."""
        way_out = {
            Interface.HTTP: "let `labeld models pull` get it with a higher limit",
            Interface.PYTHON: f"raise {interface.setting('max_download')}",
            Interface.COMMAND_LINE: "raise the limit with --max-download",
        }[interface.way]
        return (
            f"The model {self.model_id} is too large to be loaded automatically ({format_bytes(self.size)} > "
            f"{format_bytes(self.limit)}, setting max_download): {way_out}."
        )


class HubFailedError(UnavailableError):
    """The Hub could not be reached, or sent something wrong; the models in the store are not affected."""

    status = 502  # not 503, which @huggingface/inference repeats at once and without end

    def __init__(self, model_id: str, reason: str, retry_after: float = 5.0) -> None:
        super().__init__(f"Model {model_id} could not be downloaded: the Hub {reason}; try again later.", retry_after)
        self.model_id, self.reason = model_id, reason


class RepositoryNotFoundError(LabeldError):
    """A look-up (`/api/models/{id}`) named a model that this server does not have, because of `cause`."""

    status = 404

    def __init__(self, cause: LabeldError) -> None:
        super().__init__(cause)
        self.cause = cause

    def sentence(self, interface: Interface) -> str:
        """The sentence of the cause."""
        return self.cause.sentence(interface)

    def headers(self) -> list[HeaderField]:
        """`x-error-code`, from which huggingface_hub makes its own exception."""
        return [(b"x-error-code", b"RepoNotFound")]
