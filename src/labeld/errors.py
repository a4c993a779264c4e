"""One class per failure: its facts as attributes, one sentence as its text, and its place in HTTP.

The sentence of every `LabeldError` may be shown to a client: it names the thing, the limit and the way out, and never
a path, a traceback or a library's own message. `status` and `headers` are what a reply with it has (contract section
6.2); a subclass has its parent's unless it says otherwise. Packages have the failures that only they raise in files of
their own: auth/errors.py, repository/errors.py, server/errors.py.
"""

import math
from typing import Any, ClassVar

HeaderField = tuple[bytes, bytes]
"""Name and value as ASGI wants them: the name in lower case, both in latin-1."""

MODEL_ID_CHARACTERS = 200
"""Characters that are shown of the name of a model that does not exist."""
RETRY_AFTER_SECONDS = (1, 30)
"""The least and the most that `retry-after` says."""


class LabeldError(Exception):
    """A failure whose sentence, `str(error)`, may be shown to whoever asked."""

    status: ClassVar[int] = 500
    """The HTTP status of a reply that says so."""

    def headers(self) -> list[HeaderField]:
        """Header fields of such a reply beside those that every error has."""
        return []

    def details(self) -> dict[str, Any]:
        """Members of the reply's JSON object beside `error`."""
        return {}


class RetryLaterError(LabeldError):
    """Another try after `retry_after` seconds may succeed."""

    status = 503

    def __init__(self, sentence: str, retry_after: float) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after

    def headers(self) -> list[HeaderField]:
        """When to come back, in whole seconds within RETRY_AFTER_SECONDS."""
        minimum, maximum = RETRY_AFTER_SECONDS
        return [(b"retry-after", b"%d" % math.ceil(min(maximum, max(minimum, self.retry_after))))]


class InvalidRequestError(LabeldError):
    """The request itself is wrong; the sentence names the field and what is allowed there."""

    status = 400


class UnsupportedEncodingError(LabeldError):
    """The body is compressed (Content-Encoding); of which only gzip is read."""

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
        """The rest of the body is not worth reading."""
        return [(b"connection", b"close")]


class TextTooLongError(LabeldError):
    """A text has more tokens than the model takes, and truncation was not asked for."""

    status = 400

    def __init__(self, index: int, tokens: int, limit: int) -> None:
        super().__init__(
            f"Text {index} of `inputs` is {tokens} tokens long, but the model takes at most {limit}: shorten it, "
            'or send "parameters": {"truncation": true}.'
        )
        self.index, self.tokens, self.limit = index, tokens, limit


class TextTooManyCharactersError(LabeldError):
    """A text has more characters than are tokenised at all, and truncation was not asked for."""

    status = 400

    def __init__(self, index: int, characters: int, limit: int) -> None:
        super().__init__(
            f"Text {index} of `inputs` has {characters} characters, more than the limit of {limit} "
            '(setting max_text_characters, and 250 per token the model takes): shorten it, or send "parameters": '
            '{"truncation": true}.'
        )
        self.index, self.characters, self.limit = index, characters, limit


class ModelNotFoundError(LabeldError):
    """No folder and no bundled model has this id."""

    status = 404

    def __init__(self, model_id: str) -> None:
        is_long = len(model_id) > MODEL_ID_CHARACTERS
        shown = f"{model_id[: MODEL_ID_CHARACTERS - 1]}…" if is_long else model_id
        super().__init__(f"Model {shown} does not exist")
        self.model_id = model_id


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
    """Loading the model needs more bytes than there is room for, even if every model that may leave has left."""

    status = 403

    def __init__(self, model_id: str, needed: int, room: int) -> None:
        super().__init__(
            f"The model {model_id} is too large to be loaded automatically "
            f"({format_bytes(needed)} > {format_bytes(max(room, 0))}): raise memory_budget, or pin fewer models."
        )
        self.model_id, self.needed, self.room = model_id, needed, room


class StoreError(LabeldError):
    """The store of downloaded models cannot take a model; the sentence says what is missing."""

    status = 507


def format_bytes(size: int) -> str:
    """A number of bytes for people: 1.34GB, 268MB."""
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
        """For clients that wait, as recorded."""
        return {"estimated_time": self.estimated_time}


class EngineFailedError(LabeldError):
    """The engine raised while it ran the batch that this text was in."""

    def __init__(self) -> None:
        super().__init__("The engine failed on this batch; the log of the server has the cause.")


class TokenizerFailedError(LabeldError):
    """The tokenizers library failed on a text, for example on a pattern that backtracks for too long."""

    def __init__(self) -> None:
        super().__init__(
            "The model's tokenizer failed on a text of `inputs`, perhaps because a pattern of its tokenizer.json takes "
            "too long there: send another text, or use another model."
        )


class NotFiniteError(LabeldError):
    """The model computed a logit that is not a finite number for one text."""

    def __init__(self, index: int) -> None:
        super().__init__(f"The model computed a score that is not a finite number for text {index} of `inputs`.")
        self.index = index


class UnknownTokenIdError(LabeldError):
    """A text has a token for which the model has no embedding: its tokenizer has more tokens than it."""

    def __init__(self, index: int, token: str, number: int, vocabulary: int) -> None:
        super().__init__(
            f"Text {index} of `inputs` has the token {token[:60]!r} of id {number}, but the model knows only ids below "
            f"{vocabulary}: leave it out, or repair the model's tokenizer."
        )
        self.index, self.token, self.number, self.vocabulary = index, token, number, vocabulary


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
        """The methods that are."""
        return [(b"allow", self.allowed.encode())]


class SettingsError(LabeldError):
    """A setting has an impossible value; the sentence names the setting. Stops the start-up."""


class InvalidJsonError(InvalidRequestError):
    """The body does not follow the grammar of JSON, so as raw text it may still be an input (contract section 3.1)."""

    def __init__(self, where: str) -> None:
        super().__init__(f'The body is not valid JSON ({where}): send {{"inputs": "some text"}}.')
        self.where = where
