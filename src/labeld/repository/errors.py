"""Failures of finding and downloading models. The base and the rest are in labeld/errors.py."""

from labeld.errors import HeaderField, LabeldError, UnavailableError, format_bytes


class AmbiguousModelError(LabeldError):
    """A bare name fits several models."""

    status = 400

    def __init__(self, name: str, candidates: list[str]) -> None:
        super().__init__(f"Model {name} is ambiguous: ask for one of {', '.join(candidates)}.")
        self.name, self.candidates = name, candidates


class NotDownloadedError(LabeldError):
    """The model is neither in a folder nor in the store, and this server may not or cannot get it from the Hub."""

    status = 404

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Model {name} is not on this server, which does not ask the Hub for it: {reason}.")
        self.name = name


class GatedModelError(LabeldError):
    """The Hub does not give the model to this server's token, or to none."""

    status = 403

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"Access to model {model_id} is restricted: ask for access on the Hub, and give this server a token that "
            "has it (HF_TOKEN)."
        )
        self.model_id = model_id

    def headers(self) -> list[HeaderField]:
        """The Hub's name for it, from which huggingface_hub makes its own exception."""
        return [(b"x-error-code", b"GatedRepo")]


class DownloadTooLargeError(LabeldError):
    """The files of the model are larger than a download may be."""

    status = 403

    def __init__(self, model_id: str, size: int, limit: int) -> None:
        super().__init__(
            f"The model {model_id} is too large to be loaded automatically ({format_bytes(size)} > "
            f"{format_bytes(limit)}, setting max_download): let `labeld models pull` get it with a higher limit."
        )
        self.model_id, self.size, self.limit = model_id, size, limit


class HubFailedError(UnavailableError):
    """The Hub could not be reached, or did not give what it said; what is in the store is whole all the same."""

    status = 502  # not 503, which @huggingface/inference repeats at once and without end

    def __init__(self, model_id: str, reason: str, retry_after: float = 5.0) -> None:
        super().__init__(f"Model {model_id} could not be downloaded: the Hub {reason}; try again later.", retry_after)
        self.model_id, self.reason = model_id, reason


class RepositoryNotFoundError(LabeldError):
    """A look-up as of the Hub (`/api/models/{id}`) named a model that this server does not have; `cause` says why."""

    status = 404

    def __init__(self, cause: LabeldError) -> None:
        super().__init__(str(cause))
        self.cause = cause

    def headers(self) -> list[HeaderField]:
        """The Hub's name for it, from which huggingface_hub makes its own exception."""
        return [(b"x-error-code", b"RepoNotFound")]
