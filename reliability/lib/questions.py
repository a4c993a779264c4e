"""Requests whose answers are known: transformers' own, of models that differ."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.lib.known import Scores
from reliability.lib.models import known
from tests.support.steady_clients import post

TEXTS = (
    *("i like the film", "the market fell", "hello world", "it is not very good", "a bad day", "you love it"),
    *("the world rose", "was it good", "i love the day", "not a film", "the film was bad", "very very good"),
)
BAR = 1e-5


def body_of(scores: Scores) -> bytes:
    """The body of the answer to one text with these scores."""
    ranking = sorted(scores.items(), key=lambda one: -one[1])
    return json.dumps([[{"label": label, "score": score} for label, score in ranking]]).encode()


def questions(models: Path, model: str = "org/bert", texts: Sequence[str] = TEXTS) -> Mapping[bytes, bytes]:
    """Requests that are computed anew, each with the body of its answer."""
    answers = known(models, texts, [model])[model]
    requests = [post(f"/models/{model}", text, use_cache=False, headers="x-wait-for-model: 1\r\n") for text in texts]
    return {request: body_of(scores) for request, scores in zip(requests, answers, strict=True)}
