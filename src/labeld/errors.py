"""One class per failure, with its facts as attributes and one sentence as its text.

No HTTP here: which status a failure becomes is `wire`'s table. The sentence of every `LabeldError` may be shown to a
client: it names the thing, the limit and the way out, and never a path, a traceback or a library's own message.
"""


class LabeldError(Exception):
    """A failure whose sentence, `str(error)`, may be shown to whoever asked."""


class InvalidRequestError(LabeldError):
    """The request itself is wrong; the sentence names the field and what is allowed there."""


class UnsupportedEncodingError(LabeldError):
    """The body is compressed (Content-Encoding); of which only gzip is read."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"Content-Encoding {encoding!r} is not supported: send the body uncompressed, or with gzip.")
        self.encoding = encoding


class BodyTooLargeError(LabeldError):
    """The body is longer than `max_body_bytes`."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body is larger than the limit of {limit} bytes (setting max_body_bytes): send fewer or shorter texts."
        )
        self.limit = limit


class SlowRequestError(LabeldError):
    """The head or the body of a request did not arrive within its receive deadline."""


class HeaderTooLargeError(LabeldError):
    """The request has more header bytes or header fields than allowed."""


class TextTooLongError(LabeldError):
    """A text has more tokens than the model takes, and truncation was not asked for."""

    def __init__(self, index: int, tokens: int, limit: int) -> None:
        super().__init__(
            f"Text {index} of `inputs` is {tokens} tokens long, but the model takes at most {limit}: shorten it, "
            'or send "parameters": {"truncation": true}.'
        )
        self.index, self.tokens, self.limit = index, tokens, limit


class TextTooManyCharactersError(LabeldError):
    """A text has more characters than are tokenised at all, and truncation was not asked for."""

    def __init__(self, index: int, characters: int, limit: int) -> None:
        super().__init__(
            f"Text {index} of `inputs` has {characters} characters, more than the limit of {limit} "
            '(setting max_text_characters, and 250 per token the model takes): shorten it, or send "parameters": '
            '{"truncation": true}.'
        )
        self.index, self.characters, self.limit = index, characters, limit


class ModelNotFoundError(LabeldError):
    """No folder and no bundled model has this id."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"Model {model_id} does not exist")
        self.model_id = model_id


class AmbiguousModelError(LabeldError):
    """A bare name fits several models."""

    def __init__(self, name: str, candidates: list[str]) -> None:
        super().__init__(f"Model {name} is ambiguous: ask for one of {', '.join(candidates)}.")
        self.name, self.candidates = name, candidates


class ModelBrokenError(LabeldError):
    """A model's files cannot be served; `reason` names the file and what is wrong with it, without its path."""

    def __init__(self, model_id: str, reason: str) -> None:
        super().__init__(f"Model {model_id} cannot be loaded: {reason}")
        self.model_id, self.reason = model_id, reason


class ModelLoadingError(LabeldError):
    """The model is being loaded and the request was not told to wait; it needs about `estimated_time` seconds more."""

    def __init__(self, model_id: str, estimated_time: float) -> None:
        super().__init__(f"Model {model_id} is currently loading")
        self.model_id, self.estimated_time, self.retry_after = model_id, estimated_time, estimated_time


class ModelTooBusyError(LabeldError):
    """A request that waits for its model (x-wait-for-model) has waited for `max_wait` seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Model too busy, unable to get response in less than {seconds:g} second(s)")
        self.seconds = seconds


class ModelNotLoadedError(LabeldError):
    """The model is not loaded and the request asks not to load it (x-load-model: 0)."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"Model {model_id} is not loaded yet: ask without x-load-model: 0 to have it loaded.")
        self.model_id = model_id


class ModelTooLargeError(LabeldError):
    """Loading the model needs more bytes than there is room for, even if every model that may leave has left."""

    def __init__(self, model_id: str, needed: int, room: int) -> None:
        super().__init__(
            f"The model {model_id} is too large to be loaded automatically "
            f"({format_bytes(needed)} > {format_bytes(max(room, 0))}): raise memory_budget, or pin fewer models."
        )
        self.model_id, self.needed, self.room = model_id, needed, room


class NotDownloadedError(LabeldError):
    """The model is neither in a folder nor in the store, and this server may not or cannot get it from the Hub."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Model {name} is not on this server, which does not ask the Hub for it: {reason}.")
        self.name = name


class GatedModelError(LabeldError):
    """The Hub does not give the model to this server's token, or to none."""

    def __init__(self, model_id: str) -> None:
        super().__init__(
            f"Access to model {model_id} is restricted: ask for access on the Hub, and give this server a token that "
            "has it (HF_TOKEN)."
        )
        self.model_id = model_id


class DownloadTooLargeError(LabeldError):
    """The files of the model are larger than a download may be."""

    def __init__(self, model_id: str, size: int, limit: int) -> None:
        super().__init__(
            f"The model {model_id} is too large to be loaded automatically ({format_bytes(size)} > "
            f"{format_bytes(limit)}, setting max_download): let `labeld models pull` get it with a higher limit."
        )
        self.model_id, self.size, self.limit = model_id, size, limit


class StoreError(LabeldError):
    """The store of downloaded models cannot take a model; the sentence says what is missing."""


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


class OverloadedError(LabeldError):
    """The queue or the number of requests in flight is full; worth trying again after `retry_after` seconds.

    `limit` is the setting that was reached.
    """

    def __init__(self, sentence: str, retry_after: float, limit: str) -> None:
        super().__init__(sentence)
        self.retry_after, self.limit = retry_after, limit


class DeadlineExceededError(OverloadedError):
    """A queued text could not be started before its deadline."""


class UnavailableError(LabeldError):
    """This process is stopping or being replaced; another try after `retry_after` seconds finds its successor."""

    def __init__(self, sentence: str, retry_after: float = 1.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class HubFailedError(UnavailableError):
    """The Hub could not be reached, or did not give what it said; what is in the store is whole all the same."""

    def __init__(self, model_id: str, reason: str, retry_after: float = 5.0) -> None:
        super().__init__(f"Model {model_id} could not be downloaded: the Hub {reason}; try again later.", retry_after)
        self.model_id, self.reason = model_id, reason


class EngineFailedError(LabeldError):
    """The engine raised while it ran the batch that this text was in."""

    def __init__(self) -> None:
        super().__init__("The engine failed on this batch; the log of the server has the cause.")


class NotFiniteError(LabeldError):
    """The model computed a logit that is not a finite number for one text."""

    def __init__(self, index: int) -> None:
        super().__init__(f"The model computed a score that is not a finite number for text {index} of `inputs`.")
        self.index = index


class RepositoryNotFoundError(LabeldError):
    """A look-up as of the Hub (`/api/models/{id}`) named a model that this server does not have; `cause` says why."""

    def __init__(self, cause: LabeldError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class RouteNotFoundError(LabeldError):
    """No route has this path."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this path: classify with POST /models/{id}; see /openapi.json.")


class MethodNotAllowedError(LabeldError):
    """The path exists, but not for this HTTP method."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"This path answers only {allowed}.")
        self.allowed = allowed


class SettingsError(LabeldError):
    """A setting has an impossible value; the sentence names the setting. Stops the start-up."""


class InvalidJsonError(InvalidRequestError):
    """The body does not follow the grammar of JSON, so as raw text it may still be an input (contract section 3.1)."""

    def __init__(self, where: str) -> None:
        super().__init__(f'The body is not valid JSON ({where}): send {{"inputs": "some text"}}.')
        self.where = where
