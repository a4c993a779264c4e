"""Replies and errors are written as recorded (contract sections 4, 6, 7), and no client's choice breaks a header."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from labeld import error_reply, errors
from labeld.auth import errors as access_errors
from labeld.config.settings import InputLimits
from labeld.interface import Interface
from labeld.lifecycle.errors import MemoryInUseError
from labeld.protocol import response
from labeld.repository import errors as repository_errors
from labeld.server import errors as server_errors
from labeld.tokenization import errors as tokenization_errors
from labeld.types import Answer, ClassifyReply, LabelScore, Timings
from labeld.web import errors as web_errors
from tests.support.requests_read import parse_request

CONTRACT = Path(__file__).with_name("contract")
REPLIES = json.loads(CONTRACT.joinpath("replies.json").read_text())
ERRORS = json.loads(CONTRACT.joinpath("errors.json").read_text())
REVISION = "714eb0fa89d2f80546fda750413ed43d93601a13"
SCHEME = 'Bearer realm="Authentication required", charset="UTF-8"'


def reply(rankings: list[Any], **facts: Any) -> ClassifyReply:
    """A reply with these rankings, given as lists."""
    answers = [Answer(response.encode_ranking([LabelScore(*one) for one in ranking]), 0.0213) for ranking in rankings]
    return ClassifyReply(tuple(answers), REVISION, compute_seconds=0.0213, characters=22)._replace(**facts)


def encoded(error: Exception) -> tuple[int, dict[str, str], str]:
    """Status, headers and the sentence of an error's body, which is checked to be what clients can digest."""
    status, headers, body = error_reply.encode_error(error, "an-id")
    names = {name.decode("ascii"): value.decode("ascii") for name, value in headers}
    [(key, sentence)] = json.loads(body).items()
    assert ("error", str, len(headers)) == (key, type(sentence), len(names))
    assert ("application/json", str(len(body)), "an-id") == (
        names["content-type"],
        names["content-length"],
        names["x-request-id"],
    )
    assert all(re.fullmatch(r"[ -~]*", value) for value in names.values())
    return status, names, sentence


@pytest.mark.parametrize("case", REPLIES, ids=lambda case: case["source"])
def test_recorded_replies(case: dict[str, Any]) -> None:
    """Recorded rankings give the bytes that were recorded with them."""
    body = response.encode_reply(reply(case["rankings"]))

    assert (case["body"].encode(), case.get("content_length", len(body))) == (body, len(body))


def test_a_label_with_half_a_character_is_still_json() -> None:
    """A label that cannot be UTF-8 is written as JSON's own escape, and reads back as the same label."""
    body = response.encode_reply(reply([[["a\ud800", 1.0]]]))

    assert [[{"label": "a\ud800", "score": 1.0}]] == json.loads(body)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_never_sent(score: float) -> None:
    """NaN would reach JavaScript clients as a malformed reply, so it is not written at all."""
    with pytest.raises(ValueError, match="JSON"):
        response.encode_reply(reply([[["A", score]]]))


def test_headers_of_a_computed_reply() -> None:
    """Those of the recordings, the time in seconds with three decimals; and milliseconds by the names of TEI."""
    assert [
        (b"content-type", b"application/json"),
        (b"content-length", b"103"),
        (b"x-compute-time", b"0.021"),
        (b"x-compute-type", b"cpu"),
        (b"x-sha", REVISION.encode()),
        (b"x-request-id", b"an-id"),
        (b"x-compute-characters", b"22"),
        (b"x-compute-tokens", b"0"),
        (b"x-total-time", b"25"),
        (b"x-tokenization-time", b"1"),
        (b"x-queue-time", b"0"),
        (b"x-inference-time", b"22"),
    ] == response.reply_headers(reply([], timings=Timings(0.0013, 0.0002, 0.0215, 0.0249)), "an-id", 103)


def test_headers_say_what_was_read_in_windows_and_what_was_cut() -> None:
    """Of all texts together, cached or not; a reply to whole texts says nothing of either."""
    whole, windows, cut = Answer(b"[]", 0.1, 9), Answer(b"[]", 0.1, 90, 5), Answer(b"[]", 0.1, 9, 1, 70)
    names = ("x-windows", "x-truncated-texts", "x-truncated-characters")

    def pieces(*answers: Answer) -> list[str | None]:
        headers = dict(response.reply_headers(reply([])._replace(answers=answers), "an-id", 2))
        return [headers.get(name.encode(), b"").decode() or None for name in names]

    assert [None, None, None] == pieces(whole, whole)
    assert ["6", None, None] == pieces(whole, windows)
    assert ["7", "2", "140"] == pieces(windows, cut, cut)


def test_a_cached_reply_says_so_and_not_how_many_characters() -> None:
    """A cache hit keeps the time of the original and has no x-compute-characters, as recorded."""
    headers = dict(response.reply_headers(reply([], compute_type="cache", compute_seconds=54.987), "an-id", 2))

    assert (b"cache", b"54.987") == (headers[b"x-compute-type"], headers[b"x-compute-time"])
    assert b"x-compute-characters" not in headers


def warning(*names: str) -> str:
    """The X-HF-Warning header for these ignored names."""
    return dict(response.reply_headers(reply([], ignored=names), "an-id", 2))[b"x-hf-warning"].decode("ascii")


def test_ignored_parameters_are_warned_about_as_huggingface_hub_prints_it() -> None:
    """The header is `topic; message`."""
    expected = "Ignored parameters; These parameters mean nothing here and were ignored: padding, batch_size"

    assert expected == warning("padding", "batch_size")


def test_a_warning_cannot_be_abused() -> None:
    """Names from a client bring no line break, no second topic, no other script and no length."""
    message = warning("a\r\nset-cookie: b;c\0é\ud800", "x" * 100_000, *map(str, range(50))).removeprefix(
        "Ignored parameters; These parameters mean nothing here and were ignored: "
    )

    assert f"a??set-cookie: b?c???, {'x' * 40}, 0, 1, 2, 3, 4, 5, 6, 7 and 42 more" == message


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["source"])
def test_recorded_errors(case: dict[str, Any]) -> None:
    """The errors whose bytes are recorded are repeated to the byte."""
    error: Exception = errors.ModelNotFoundError(case.get("model_id", ""))
    if "request_hex" in case:
        with pytest.raises(errors.InvalidRequestError) as caught:
            parse_request(bytes.fromhex(case["request_hex"]), {}, "", InputLimits())
        error = caught.value

    status, _, body = error_reply.encode_error(error, "an-id")

    assert (case["status"], case["body"].encode()) == (status, body)


@pytest.mark.parametrize(
    ("error", "status", "extra"),
    [
        (errors.InvalidRequestError("No."), 400, {}),
        (errors.InvalidJsonError("line 1, column 1"), 400, {}),
        (tokenization_errors.TextTooLongError(3, 600, 512), 400, {}),
        (tokenization_errors.TextTooManyCharactersError(3, 600, 512), 400, {}),
        (repository_errors.AmbiguousModelError("a", ["b/a", "c/a"]), 400, {}),
        (errors.ModelNotFoundError("a"), 404, {}),
        (errors.RouteNotFoundError(), 404, {}),
        (
            repository_errors.RepositoryNotFoundError(errors.ModelNotFoundError("a")),
            404,
            {"x-error-code": "RepoNotFound"},
        ),
        (access_errors.AnonymousError(), 401, {"www-authenticate": SCHEME}),
        (access_errors.UnknownTokenError(), 401, {"www-authenticate": SCHEME}),
        (access_errors.ForbiddenTokenError("No."), 403, {}),
        (access_errors.BadHostError(), 400, {}),
        (access_errors.ForeignHostError("a"), 403, {}),
        (access_errors.ForeignOriginError("https://a"), 403, {}),
        (access_errors.TokenStoreUnavailableError(), 503, {"retry-after": "2"}),
        (access_errors.FormTooLargeError(9), 413, {"connection": "close"}),
        (access_errors.TokenRequestError("No."), 400, {}),
        (access_errors.TokenNotFoundError(), 404, {}),
        (errors.StoreError("Full."), 507, {}),
        (repository_errors.NotDownloadedError("a", "offline"), 404, {}),
        (repository_errors.GatedModelError("a"), 403, {"x-error-code": "GatedRepo"}),
        (repository_errors.DownloadTooLargeError("a", 2 * 10**9, 10**9), 403, {}),
        (repository_errors.HubFailedError("a", "does not answer"), 502, {"retry-after": "5"}),
        (
            access_errors.RateLimitedError(60, 29.5),
            429,
            {
                "retry-after": "30",
                "ratelimit": '"api";r=0;t=30',
                "ratelimit-policy": '"fixed window";"api";q=60;w=60',
            },
        ),
        (errors.MethodNotAllowedError("GET, HEAD"), 405, {"allow": "GET, HEAD"}),
        (errors.BodyTooLargeError(9), 413, {"connection": "close"}),
        (server_errors.MalformedRequestError("No HTTP."), 400, {}),
        (server_errors.SlowRequestError("Too slow."), 408, {"connection": "close"}),
        (server_errors.BodyFramingError("Too many chunks."), 413, {}),
        (server_errors.HeaderTooLargeError("Too many headers."), 431, {}),
        (errors.UnsupportedEncodingError("gzip"), 415, {}),
        (errors.OverloadedError("Full.", 2.1, "max_in_flight"), 429, {"retry-after": "3"}),
        (errors.DeadlineExceededError("Late.", 1, "queue_timeout"), 429, {"retry-after": "1"}),
        (web_errors.TooSlowError(9), 504, {}),
        (errors.EngineFailedError(), 500, {}),
        (errors.NotFiniteError(3), 500, {}),
        (errors.ModelBrokenError("a", "no weights"), 500, {}),
        (errors.FolderError("config.json is missing."), 500, {}),
        (errors.ModelTooLargeError("a", 54 * 10**9, 10 * 10**9), 403, {}),
        (MemoryInUseError("a", 10**9, 10**8), 429, {"retry-after": "5"}),
        (errors.ModelNotLoadedError("a"), 404, {}),
        (errors.ModelTooBusyError(60), 500, {}),
        (errors.UnavailableError("Stopping."), 503, {"retry-after": "1"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_failure_has_its_status(error: errors.LabeldError, status: int, extra: dict[str, str]) -> None:
    """The status is its class's, the sentence is in the body and in X-Error-Message, and no other header is sent."""
    base = {"content-type", "content-length", "x-error-message", "x-request-id"}

    got, headers, sentence = encoded(error)

    said = error.sentence(Interface.HTTP)
    assert (status, said, said) == (got, sentence, headers["x-error-message"])
    assert extra == {name: value for name, value in headers.items() if name not in base}


@pytest.mark.parametrize(("seconds", "retry_after"), [(20.0, b"20"), (22.307266235351562, b"23"), (400.0, b"30")])
def test_a_model_that_loads_says_for_how_long(seconds: float, retry_after: bytes) -> None:
    """As recorded (contract section 6.2): estimated_time is a JSON float, and when to return is bounded."""
    status, headers, body = error_reply.encode_error(errors.ModelLoadingError("org/a", seconds), "an-id")

    assert (503, retry_after) == (status, dict(headers)[b"retry-after"])
    assert f'{{"error":"Model org/a is currently loading","estimated_time":{seconds}}}' == body.decode()


def test_a_subclass_has_the_status_of_its_parent() -> None:
    """A new kind of a known failure needs no status of its own."""

    class NewerError(errors.DeadlineExceededError):
        """A failure that says nothing of HTTP."""

    assert (429, "30") == (
        encoded(NewerError("Late.", 99, "queue_timeout"))[0],
        encoded(NewerError("Late.", 99, "queue_timeout"))[1]["retry-after"],
    )


@pytest.mark.parametrize("error", [ValueError("/secret/path"), KeyError("hf_secret"), Exception(), RecursionError()])
def test_unknown_exceptions_say_nothing(error: Exception) -> None:
    """Somebody else's exception is 500 with a fixed sentence."""
    status, headers, sentence = encoded(error)

    assert (500, error_reply.INTERNAL_ERROR, error_reply.INTERNAL_ERROR) == (
        status,
        sentence,
        headers["x-error-message"],
    )


@pytest.mark.parametrize(
    ("seconds", "header"),
    [
        (-1, "1"),
        (0, "1"),
        (1, "1"),
        (1.01, "2"),
        (29.5, "30"),
        (30, "30"),
        (31, "30"),
        (math.inf, "30"),
        (math.nan, "1"),
    ],
)
def test_retry_after_is_one_to_thirty_whole_seconds(seconds: float, header: str) -> None:
    """Whatever the estimate is, the header is sensible."""
    assert header == encoded(errors.OverloadedError("Full.", seconds, "max_in_flight"))[1]["retry-after"]


@pytest.mark.parametrize(
    ("model_id", "shown"),
    [
        ("org/name", "org/name"),
        ("a\r\nb\0\x1b[31m", "a\\r\\nb\\x00\\x1b[31m"),
        ("\ud800\u2028", "\\ud800\\u2028"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("é", "é"),
    ],
)
def test_the_name_of_an_unknown_model_is_shown_safely(model_id: str, shown: str) -> None:
    """Control characters are escaped and the name is cut at 200 characters."""
    assert f"Model {shown} does not exist" == encoded(errors.ModelNotFoundError(model_id))[2]


def test_long_sentences_are_bounded() -> None:
    """Neither the body nor the header grows with what a client sent."""
    _, headers, sentence = encoded(errors.InvalidRequestError("é\n" * 100_000))

    assert len(sentence) < 4_001
    assert 500 == len(headers["x-error-message"])


@pytest.mark.parametrize("sent", ["a", "Root=1-67cf;0ee2-1f", "A.b_c:d;e=f-9", "x" * 128])
def test_a_safe_request_id_is_echoed(sent: str) -> None:
    """A client's own id comes back."""
    assert sent == error_reply.request_id(sent)


@pytest.mark.parametrize("sent", [None, "", "x" * 129, "a b", "a\n", "a\r\nb: c", "é", "<script>", "a,b"])
def test_any_other_request_id_is_replaced(sent: str | None) -> None:
    """Anything long or strange is replaced by a new id of 21 safe characters, which a client may send back."""
    fresh = error_reply.request_id(sent)

    assert re.fullmatch(r"[A-Za-z0-9_-]{21}", fresh)
    assert fresh == error_reply.request_id(fresh)
    assert fresh != error_reply.request_id(sent)


def test_the_trace_id_is_the_second_choice() -> None:
    """huggingface_hub sends X-Amzn-Trace-Id, and is answered with it."""
    assert ["a", "b"] == [error_reply.request_id("a", "b"), error_reply.request_id(None, "b")]
