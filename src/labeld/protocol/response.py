"""ClassifyReply -> the bytes and header fields of a successful reply (contract sections 3.2, 4 and 7). Pure.

Requests are read by request.py, failures are written by labeld/error_reply.py.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from labeld.errors import HeaderField
from labeld.types import Answer, ClassifyReply, ClassifyRequest, LabelScore, Ranking, ScoredText, Timings

WARNED_NAMES, WARNED_NAME_CHARACTERS = 10, 40

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_UNSAFE_IN_WARNING = re.compile(r"[^ -:<-~]")  # printable ASCII, but not the ; that ends the topic


def encode_ranking(ranking: Ranking) -> bytes:
    """The labels of one text, as compact as the recordings, scores printed in full (contract section 4).

    Raises ValueError when a score is not a finite number, which the engine should have reported.
    """
    return encode_json(_labels(ranking))


def encode_answer(text: ScoredText) -> bytes:
    """One text's ranking, or where its windows were asked for an object of it and of theirs; raises ValueError."""
    if not text.windows:
        return encode_ranking(text.ranking)
    windows = [{"start": one.start, "end": one.end, "labels": _labels(one.ranking)} for one in text.windows]
    return encode_json({"labels": _labels(text.ranking), "windows": windows})


def encode_json(value: Any) -> bytes:
    """Compact JSON in UTF-8; raises ValueError when a number in it is not finite."""
    # NOTE: a label may hold half a surrogate pair (config.json can); backslashreplace writes it as JSON's own \ud800
    return _JSON.encode(value).encode("utf-8", "backslashreplace")


def _labels(ranking: Ranking) -> list[dict[str, str | float]]:
    return [{"label": label, "score": score} for label, score in ranking]


def encode_reply(reply: ClassifyReply) -> bytes:
    """One ranking per text (contract section 3.2)."""
    return b"[" + b",".join([answer.encoded for answer in reply.answers]) + b"]"


def rankings(texts: Iterable[Any]) -> list[Ranking]:
    """The ranking of each text from what `encode_answer` wrote, decoded."""
    return [
        [LabelScore(label["label"], label["score"]) for label in (one["labels"] if isinstance(one, dict) else one)]
        for one in texts
    ]


def reply_headers(reply: ClassifyReply, request_id: str, body_length: int) -> list[HeaderField]:
    """Header fields of a successful reply (contract section 7), all of them: nothing is left to the framework."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % body_length),
        (b"x-compute-time", b"%.3f" % reply.compute_seconds),
        (b"x-compute-type", reply.compute_type.encode()),
        *([(b"x-sha", reply.revision.encode())] if reply.revision else []),
        *([(b"x-model", reply.model.encode())] if reply.model else []),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.timings:  # as recorded: a cache hit does not say
        headers.append((b"x-compute-characters", b"%d" % reply.characters))
        headers += _timings(reply.answers, reply.timings)
    for answer in reply.answers:
        if answer.window_count > 1 or answer.cut_characters:
            headers += _pieces(reply.answers)
            break
    if reply.ignored:
        headers.append((b"x-hf-warning", _warning(reply.ignored)))
    return headers


def merged(request: ClassifyRequest, replies: Sequence[ClassifyReply]) -> ClassifyReply:
    """The reply to a request that several models have answered side by side, for its headers: sums and maxima."""
    timings = [one.timings for one in replies if one.timings]
    return ClassifyReply(
        tuple([answer for one in replies for answer in one.answers]),
        replies[0].revision if len(replies) == 1 else "",
        max([one.compute_seconds for one in replies]),
        request.characters,
        compute_type="cpu" if timings else "cache",
        timings=Timings(
            max([one.tokenization for one in timings]),
            max([one.queue for one in timings]),
            max([one.inference for one in timings]),
        )
        if timings
        else None,
    )


def _timings(answers: Sequence[Answer], timings: Timings) -> list[HeaderField]:
    """Tokens, and milliseconds of each step, by the names of text-embeddings-inference."""
    seconds = (timings.total, timings.tokenization, timings.queue, timings.inference)
    names = (b"x-total-time", b"x-tokenization-time", b"x-queue-time", b"x-inference-time")
    tokens = sum([answer.tokens for answer in answers])
    times = [(name, b"%d" % round(1000 * one)) for name, one in zip(names, seconds, strict=True)]
    return [(b"x-compute-tokens", b"%d" % tokens), *times]


def _pieces(answers: Sequence[Answer]) -> list[HeaderField]:
    """Windows of all texts; and texts that were truncated, with the characters that nobody has read."""
    headers = []
    windows = sum([answer.window_count for answer in answers])
    if windows > len(answers):
        headers.append((b"x-windows", b"%d" % windows))
    if cut := [answer.cut_characters for answer in answers if answer.cut_characters]:
        headers += [(b"x-truncated-texts", b"%d" % len(cut)), (b"x-truncated-characters", b"%d" % sum(cut))]
    return headers


def _warning(names: tuple[str, ...]) -> bytes:
    """`topic; message`, which huggingface_hub prints once per topic. NOTE: clients choose the names."""
    shown = ", ".join(_UNSAFE_IN_WARNING.sub("?", name[:WARNED_NAME_CHARACTERS]) for name in names[:WARNED_NAMES])
    more = f" and {len(names) - WARNED_NAMES} more" if len(names) > WARNED_NAMES else ""
    return f"Ignored parameters; These parameters mean nothing here and were ignored: {shown}{more}".encode()
