"""The base of all failures, one class each: its facts, its sentence, and its status and header fields over HTTP.

The sentence of every `LabeldError` may be shown to a client: it names the thing, the limit and the way out, and never
a path, a traceback or a library's own message. Where the way out differs between HTTP, Python and the command line,
the class puts its facts into the words of the caller's `Interface`. `status` and `headers` belong to the reply
(contract section 6.2); a subclass has its parent's unless it says otherwise. Failures that only one package raises are
in its own errors.py.
"""

import math
from typing import Any, ClassVar

from labeld.interface import Interface

HeaderField = tuple[bytes, bytes]
"""Name and value as ASGI wants them: the name in lower case, both in latin-1."""

MODEL_ID_CHARACTERS = 200
"""Characters of an unknown model's name that its sentence shows, at most."""
RETRY_AFTER_SECONDS = (1, 30)
"""Seconds in a `retry-after` header, at least and at most."""


class LabeldError(Exception):
    """A failure whose sentence may be shown to the caller; `str(error)` is the one for a caller from Python."""

    status: ClassVar[int] = 500
    """The HTTP status of the reply."""

    def sentence(self, interface: Interface) -> str:
        """One sentence in the words of the interface that the caller used; most errors read alike on all of them."""
        del interface
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return self.sentence(Interface.PYTHON)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy by pickle has the same arguments and attributes; the constructor may take others."""
        return _restored, (type(self), self.args), self.__dict__

    def headers(self) -> list[HeaderField]:
        """Header fields of the reply beside those that every error has."""
        return []

    def details(self) -> dict[str, Any]:
        """Members of the reply's JSON object beside `error`."""
        return {}


def _restored(kind: type[LabeldError], args: tuple[Any, ...]) -> LabeldError:
    return kind.__new__(kind, *args)


class RetryLaterError(LabeldError):
    """Another try after `retry_after` seconds may succeed."""

    status = 503

    def __init__(self, sentence: str, retry_after: float) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after

    def headers(self) -> list[HeaderField]:
        """`retry-after`, in whole seconds within RETRY_AFTER_SECONDS."""
        minimum, maximum = RETRY_AFTER_SECONDS
        return [(b"retry-after", b"%d" % math.ceil(min(maximum, max(minimum, self.retry_after))))]


class InvalidRequestError(LabeldError):
    """The request is wrong; the sentence names the field and its allowed values."""

    status = 400


class OneTextError(LabeldError):
    """A failure of one text, beside which others can be classified."""


class InvalidTextError(InvalidRequestError):
    """An input of the Python API is no text; `index` is its position, and `what` the rest of the sentence."""

    def __init__(self, index: int, what: str) -> None:
        super().__init__(index, what)
        self.index, self.what = index, what

    def sentence(self, interface: Interface) -> str:
        """Names the input; only Python has such."""
        del interface
        return f"Input {self.index} {self.what}"


class UnsupportedEncodingError(LabeldError):
    """The body has a Content-Encoding other than gzip."""

    status = 415

    def __init__(self, encoding: str) -> None:
        super().__init__(f"Content-Encoding {encoding!r} is not supported: send the body uncompressed, or with gzip.")
        self.encoding = encoding


class BodyTooLargeError(LabeldError):
    """The body is longer than `max_body_bytes`."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body is larger than the limit of {limit} bytes (setting max_body_bytes): send fewer or shorter texts."
        )
        self.limit = limit

    def headers(self) -> list[HeaderField]:
        """`connection: close`, since the rest of the body is not read."""
        return [(b"connection", b"close")]


class ModelNotFoundError(LabeldError):
    """No folder and no bundled model has this id."""

    status = 404

    def __init__(self, model_id: str) -> None:
        is_long = len(model_id) > MODEL_ID_CHARACTERS
        shown = f"{model_id[: MODEL_ID_CHARACTERS - 1]}…" if is_long else model_id
        super().__init__(f"Model {shown} does not exist")
        self.model_id = model_id

    def sentence(self, interface: Interface) -> str:
        """As the hosted service has it; whoever may have meant a folder or a URL is told what a model is named by."""
        if interface.way is Interface.HTTP or not (self.model_id.startswith(("/", ".", "~")) or "://" in self.model_id):
            return super().sentence(interface)
        setting = interface.setting("models_dir")
        return f"{self.args[0]}: name it by its id, such as org/name, and the folder of org/name by {setting}."


class ModelBrokenError(LabeldError):
    """A model's files cannot be served; `reason` names the file and what is wrong with it, without its path."""

    def __init__(self, model_id: str, reason: str) -> None:
        super().__init__(f"Model {model_id} cannot be loaded: {reason}")
        self.model_id, self.reason = model_id, reason


class ModelTooBusyError(LabeldError):
    """A request that waits for its model (x-wait-for-model) has waited for `max_wait` seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Model too busy, unable to get response in less than {seconds:g} second(s)")
        self.seconds = seconds


class ModelNotLoadedError(LabeldError):
    """The model is not loaded and the request asks not to load it (x-load-model: 0)."""

    status = 404

    def __init__(self, model_id: str) -> None:
        super().__init__(f"Model {model_id} is not loaded yet: ask without x-load-model: 0 to have it loaded.")
        self.model_id = model_id


class ModelTooLargeError(LabeldError):
    """Loading the model needs more bytes than would be free with all models evicted that may be."""

    status = 403

    def __init__(self, model_id: str, needed: int, room: int) -> None:
        super().__init__(model_id, needed, room)
        self.model_id, self.needed, self.room = model_id, needed, room

    def sentence(self, interface: Interface) -> str:
        """Both sizes, and the setting that limits them."""
        return (
            f"The model {self.model_id} is too large to be loaded automatically "
            f"({format_bytes(self.needed)} > {format_bytes(max(self.room, 0))}): "
            f"raise {interface.setting('memory_budget')}, or pin fewer models."
        )


class StoreError(LabeldError):
    """The store of downloaded models has no room for a model, or cannot be written to."""

    status = 507


def format_bytes(size: int) -> str:
    """A number of bytes with its unit: 1.34GB, 268MB."""
    return f"{size / 1e9:.3g}GB" if size >= 1e9 else f"{size / 1e6:.3g}MB"


class FolderError(LabeldError):
    """A model folder's file is missing, broken or not supported; the sentence names the file."""


class PrecisionError(FolderError):
    """A model cannot compute in the precision that was asked for, on this machine."""

    def __init__(self, precision: str, reason: str) -> None:
        super().__init__(
            f"It cannot compute in {precision}: {reason}. Take precision auto, which finds what works, or float32."
        )
        self.precision, self.reason = precision, f"{precision} is not possible: {reason}"


class UnsupportedArchitectureError(FolderError):
    """No packed graph computes this model exactly; the torch engine may. `what` is the value of config.json, named."""

    def __init__(self, what: str) -> None:
        super().__init__(f"config.json: {what} needs the torch engine: pip install 'labeld[torch]'.")
        self.what = what


class OverloadedError(RetryLaterError):
    """The queue or the number of requests in flight is full; `limit` is the setting that was reached."""

    status = 429

    def __init__(self, sentence: str, retry_after: float, limit: str) -> None:
        super().__init__(sentence, retry_after)
        self.limit = limit


class DeadlineExceededError(OverloadedError):
    """A queued text could not be started before its deadline."""


class UnavailableError(RetryLaterError):
    """This process is stopping or being replaced; another try after `retry_after` seconds finds its successor."""

    def __init__(self, sentence: str, retry_after: float = 1.0) -> None:
        super().__init__(sentence, retry_after)


class ModelLoadingError(RetryLaterError):
    """The model is being loaded and the request does not wait for it; it needs about `estimated_time` seconds more."""

    def __init__(self, model_id: str, estimated_time: float) -> None:
        super().__init__(f"Model {model_id} is currently loading", estimated_time)
        self.model_id, self.estimated_time = model_id, estimated_time

    def details(self) -> dict[str, Any]:
        """`estimated_time` in seconds, a float as recorded (contract section 6.2)."""
        return {"estimated_time": self.estimated_time}


class EngineFailedError(LabeldError):
    """The engine raised while it ran the batch that this text was in."""

    def sentence(self, interface: Interface) -> str:
        """Names the log, since the library's own message is not for clients."""
        return f"The engine failed on this batch; {interface.log} has the cause."


class NotFiniteError(OneTextError):
    """The model computed a logit that is not a finite number for one text."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index

    def sentence(self, interface: Interface) -> str:
        """Names the text."""
        return f"The model computed a score that is not a finite number for {interface.text(self.index)}."


class RouteNotFoundError(LabeldError):
    """No route has this path."""

    status = 404

    def __init__(self) -> None:
        super().__init__("There is nothing at this path: classify with POST /models/{id}; see /openapi.json.")


class MethodNotAllowedError(LabeldError):
    """The path exists, but not for this HTTP method."""

    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__(f"This path answers only {allowed}.")
        self.allowed = allowed

    def headers(self) -> list[HeaderField]:
        """`allow`, the methods that the path has."""
        return [(b"allow", self.allowed.encode())]


class SettingsError(LabeldError):
    """A setting has an impossible value, which the sentence names; the process does not start."""


class InvalidJsonError(InvalidRequestError):
    """The body is not JSON; some such bodies are a raw text input all the same (contract section 3.1)."""

    def __init__(self, where: str) -> None:
        super().__init__(f'The body is not valid JSON ({where}): send {{"inputs": "some text"}}.')
        self.where = where
