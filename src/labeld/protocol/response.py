"""The Inference API's bytes: what a client sent (`parse_request`, kept in body.py) and what it is answered (here).

Pure: bytes in, bytes out. No framework, no asyncio, no I/O. Which status a failure becomes is decided here and nowhere
else, by one table. The sections named are those of the wire contract (docs/internals/contract.md).
"""

import json
import math
import re
import secrets

from labeld import errors
from labeld.auth import errors as access_errors
from labeld.system.printable import printable
from labeld.types import ClassifyReply, Ranking

__all__ = [
    "INTERNAL_ERROR",
    "STATUS",
    "encode_error",
    "encode_ranking",
    "encode_reply",
    "reply_headers",
    "request_id",
]

Headers = list[tuple[bytes, bytes]]
"""Header fields as ASGI wants them: lower-cased names, latin-1 bytes."""

STATUS: dict[type[Exception], int] = {
    errors.InvalidRequestError: 400,
    errors.TextTooLongError: 400,
    errors.TextTooManyCharactersError: 400,
    errors.AmbiguousModelError: 400,
    access_errors.AnonymousError: 401,
    access_errors.UnknownTokenError: 401,
    access_errors.ForbiddenTokenError: 403,
    access_errors.ForeignHostError: 403,
    access_errors.ForeignOriginError: 403,
    errors.GatedModelError: 403,
    errors.DownloadTooLargeError: 403,
    access_errors.TokenNotFoundError: 404,
    errors.NotDownloadedError: 404,
    errors.ModelTooLargeError: 403,
    errors.ModelNotFoundError: 404,
    errors.ModelNotLoadedError: 404,
    errors.RepositoryNotFoundError: 404,
    errors.RouteNotFoundError: 404,
    errors.MethodNotAllowedError: 405,
    errors.SlowRequestError: 408,
    errors.BodyTooLargeError: 413,
    errors.UnsupportedEncodingError: 415,
    errors.OverloadedError: 429,
    access_errors.RateLimitedError: 429,
    errors.HeaderTooLargeError: 431,
    errors.LabeldError: 500,
    errors.ModelTooBusyError: 500,
    errors.ModelLoadingError: 503,
    errors.UnavailableError: 503,
    errors.HubFailedError: 502,  # not 503, which @huggingface/inference repeats at once and without end
    errors.StoreError: 507,
    Exception: 500,
}
"""Failure -> status (contract section 6.2); a class without a row has its parent's."""

INTERNAL_ERROR = "The server failed to answer; its log has the cause under this request id."
"""The sentence for every exception that is not one of ours."""

MODEL_ID_CHARACTERS = 200
SENTENCE_CHARACTERS = 2000
HEADER_CHARACTERS = 500
WARNED_NAMES, WARNED_NAME_CHARACTERS = 10, 40
RETRY_AFTER_SECONDS = (1, 30)

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SAFE_ID = re.compile(r"[A-Za-z0-9._:;=-]{1,128}")
_UNSAFE_IN_WARNING = re.compile(r"[^ -:<-~]")  # printable ASCII, but not the ; that ends the topic


def encode_ranking(ranking: Ranking) -> bytes:
    """The labels of one text, as compact as the recordings, scores printed in full (contract section 4).

    Raises ValueError when a score is not a finite number, which the engine should have reported.
    """
    labels = [{"label": label, "score": score} for label, score in ranking]
    # NOTE: a label may hold half a surrogate pair (config.json can); backslashreplace writes it as JSON's own \ud800
    return _JSON.encode(labels).encode("utf-8", "backslashreplace")


def encode_reply(reply: ClassifyReply) -> bytes:
    """One ranking per text (contract section 3.2)."""
    return b"[" + b",".join(reply.rankings) + b"]"


def reply_headers(reply: ClassifyReply, request_id: str, body_length: int) -> Headers:
    """Header fields of a successful reply (contract section 7), all of them: nothing is left to the framework."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % body_length),
        (b"x-compute-time", b"%.3f" % reply.compute_seconds),
        (b"x-compute-type", reply.compute_type.encode()),
        (b"x-sha", reply.revision.encode()),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.compute_type != "cache":  # as recorded: a cache hit does not say
        headers.append((b"x-compute-characters", b"%d" % reply.characters))
    if reply.ignored:
        headers.append((b"x-hf-warning", _warning(reply.ignored)))
    return headers


def _warning(names: tuple[str, ...]) -> bytes:
    """`topic; message`, which huggingface_hub prints once per topic. NOTE: clients choose the names."""
    shown = ", ".join(_UNSAFE_IN_WARNING.sub("?", name[:WARNED_NAME_CHARACTERS]) for name in names[:WARNED_NAMES])
    more = f" and {len(names) - WARNED_NAMES} more" if len(names) > WARNED_NAMES else ""
    return f"Ignored parameters; These parameters mean nothing here and were ignored: {shown}{more}".encode()


def encode_error(error: Exception, request_id: str) -> tuple[int, Headers, bytes]:
    """Status, header fields and body of a failure: `{"error": "<sentence>"}` (contract section 6).

    An exception that is not a LabeldError becomes 500 with a fixed sentence: its own text is never shown.
    """
    status = next(STATUS[parent] for parent in type(error).__mro__ if parent in STATUS)
    sentence = _sentence(error)
    loading = {"estimated_time": error.estimated_time} if isinstance(error, errors.ModelLoadingError) else {}
    body = _JSON.encode({"error": sentence, **loading}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-error-message", sentence.encode("ascii", "backslashreplace")[:HEADER_CHARACTERS]),
        (b"x-request-id", request_id.encode()),
    ]
    if isinstance(error, errors.MethodNotAllowedError):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, errors.GatedModelError):
        headers.append((b"x-error-code", b"GatedRepo"))
    if isinstance(error, errors.RepositoryNotFoundError):
        headers.append((b"x-error-code", b"RepoNotFound"))
    if isinstance(error, access_errors.AnonymousError | access_errors.UnknownTokenError):
        headers.append((b"www-authenticate", b'Bearer realm="Authentication required", charset="UTF-8"'))
    if isinstance(error, access_errors.RateLimitedError):
        seconds = math.ceil(error.retry_after)
        headers += [
            (b"retry-after", b"%d" % seconds),
            (b"ratelimit", b'"api";r=0;t=%d' % seconds),
            (b"ratelimit-policy", b'"fixed window";"api";q=%d;w=60' % error.limit),
        ]
    if isinstance(error, errors.BodyTooLargeError):
        headers.append((b"connection", b"close"))  # what is still to come is not worth reading
    if isinstance(error, errors.OverloadedError | errors.UnavailableError | errors.ModelLoadingError):
        least, most = RETRY_AFTER_SECONDS
        headers.append((b"retry-after", b"%d" % math.ceil(min(most, max(least, error.retry_after)))))
    return status, headers, body


def _sentence(error: Exception) -> str:
    """What may be shown of this failure."""
    if isinstance(error, errors.RepositoryNotFoundError):
        return _sentence(error.cause)
    if isinstance(error, errors.ModelNotFoundError):
        return f"Model {_printable(error.model_id, MODEL_ID_CHARACTERS)} does not exist"
    return _printable(str(error), SENTENCE_CHARACTERS) if isinstance(error, errors.LabeldError) else INTERNAL_ERROR


def _printable(text: str, limit: int) -> str:
    """`text` cut to `limit` characters, with control characters and the like escaped."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return printable(cut)


def request_id(*sent: str | None) -> str:
    """The first of the ids that the client sent, if it is short and safe to repeat, or a new one of 21 characters.

    `sent` is what `x-request-id` and `x-amzn-trace-id` say; huggingface_hub sends the latter (contract section 7).
    """
    for one in sent:
        if one and _SAFE_ID.fullmatch(one):
            return one
    return secrets.token_urlsafe(16)[:21]
