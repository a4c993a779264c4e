"""Whether a reply is right, or an error that says what is the matter."""

import json
from collections.abc import Sequence
from contextlib import suppress

import requests

from benchmarks.lib.known import Scores

BAR = 1e-5
LEAST_WORDS = 20
"""Characters of an error that says something."""


def alike(reply: requests.Response, scores: Sequence[Scores]) -> bool:
    """Whether each ranking of a reply with status 200 has these scores."""
    return all(
        abs(one["score"] - expected[one["label"]]) <= BAR
        for ranking, expected in zip(reply.json(), scores, strict=True)
        for one in ranking
    )


def is_clear(reply: requests.Response) -> bool:
    """Whether an error says what is the matter, instead of pointing to a log."""
    with suppress(json.JSONDecodeError, KeyError, TypeError):
        sentence = reply.json()["error"]
        return len(sentence) > LEAST_WORDS and not any(
            words in sentence for words in ("request id", "log has the cause")
        )
    return False


def outcome(reply: requests.Response, versions: Sequence[Sequence[Scores]]) -> str:
    """`right` when it is the answer of a version, `refused` for a clear error, or what it is instead."""
    if reply.status_code == 200:
        return "right" if any(alike(reply, version) for version in versions) else f"wrong: {reply.text[:200]}"
    return "refused" if is_clear(reply) else f"{reply.status_code}: {reply.text[:200]}"
