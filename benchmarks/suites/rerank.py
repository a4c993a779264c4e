"""Rerank: a query and 100 documents by POST /rerank, over the fastest reranker on the same threads."""

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from operator import itemgetter
from statistics import median
from typing import Any

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post_json
from benchmarks.lib.cross_encoders import Pair, Scorer, rerankers
from benchmarks.lib.peer_rerankers import peer_rerankers
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.server import Server
from benchmarks.lib.synthetic_models import SyntheticModel
from benchmarks.lib.texts import SEED, encoder_of, english, of_length
from benchmarks.suites.peak import matrices_alone, products_alone
from labeld.system.cpu import usable_cores
from labeld.types import Parameters, Text

BAR, SCORES_BAR = 1.5, 1e-5
DOCUMENTS, LENGTHS = 100, (20, 200)
"""Documents of the query, and tokens of the shortest and of the longest, evenly distributed between."""
PATIENCE = 600.0
"""Seconds for an answer, at most."""
ROUNDS = 6
OURS = {"labeld": (), "labeld --streams 2": ("--streams", "2")}
"""Our side, as it is and as docs/guides/deploying.md says for servers that rank: flags by name."""
TUNED = "labeld --streams 2"

Timed = tuple[float, list[float]]
"""Seconds, and the score of each document."""


def measure(plan: Plan) -> list[Figure]:
    """Times in alternating rounds, float32, and the largest difference of a score, of each kind of model."""
    with_data = [synthetic_models.DEBERTA] if plan.data else []
    return [figure for model in (synthetic_models.MINILM, *with_data) for figure in _measure(plan, model)]


def _measure(plan: Plan, model: SyntheticModel) -> list[Figure]:
    query, documents = _question(plan, model)
    pairs = [(query, one) for one in documents]
    encoder = encoder_of(model_folders.folder(plan, model))
    lengths = [len(one.ids) for one in encoder.encode([Text(*pair) for pair in pairs], Parameters())]
    request = post_json("/rerank", {"query": query, "texts": documents, "truncate": True})
    options = ("--models-dir", str(model_folders.exclusive(plan, model)))
    with ExitStack() as stack:
        folder = model_folders.folder(plan, model)
        scorers = rerankers(folder)
        expected = next(iter(scorers.values()))(pairs)
        peers, left_out = stack.enter_context(peer_rerankers(plan, folder, pairs, expected))
        ways = {name: _timed(scorer, pairs) for name, scorer in (scorers | peers).items()}
        servers = {
            name: stack.enter_context(Server(model.model_id, *options, *flags, cache=plan.cache))
            for name, flags in OURS.items()
        }
        everyone: dict[str, Callable[[], Timed]] = {
            name: partial(_asked, server.port, request) for name, server in servers.items()
        }
        peaks = [matrices_alone(model.config, usable_cores(), quick=plan.quick)]
        rounds = in_turn(plan, f"rerank: {model.name}", everyone | ways, ROUNDS)
        peaks.append(matrices_alone(model.config, usable_cores(), quick=plan.quick))
    times = {name: [seconds for seconds, _ in found] for name, found in rounds.items()}
    best = min(ways, key=lambda name: median(times[name]))
    detail: dict[str, Any] = {f"{name}_s": summary(found) for name, found in times.items()}
    detail |= {"documents": len(documents), "left_out": left_out}
    ratios = {name: median(b / a for a, b in zip(times[name], times[best], strict=True)) for name in OURS}
    scores = [found for name in OURS for _, found in rounds[name][:1]]
    largest = max(abs(a - b) for own in scores for a, b in zip(own, expected, strict=True))
    return [
        *(
            Figure(
                "rerank",
                f"{model.name}, documents/s of {name} over {best}",
                ratio,
                "x",
                BAR if name == TUNED else None,
                "at least",
                detail,
            )
            for name, ratio in ratios.items()
        ),
        products_alone("rerank", model, median(times[best]), lengths, peaks),
        Figure("rerank", f"{model.name}, largest difference of a score", largest, "", SCORES_BAR),
    ]


def _asked(port: int, request: bytes) -> Timed:
    """The documents scored by a server, on a connection of its own, whose opening is not counted."""
    with Connection(port, timeout=PATIENCE) as connection:
        began = time.perf_counter()
        status, reply = connection.ask(request)
        seconds = time.perf_counter() - began
    assert status == 200, reply
    found = sorted(json.loads(reply), key=itemgetter("index"))
    return seconds, [one["score"] for one in found]


def _question(plan: Plan, model: SyntheticModel) -> tuple[str, list[str]]:
    """A query of one sentence, and documents of real sentences in an order that mixes their lengths."""
    encoder, texts, chance = encoder_of(model_folders.folder(plan, model)), english(plan.data), random.Random(SEED)
    count, (least, most) = 8 if plan.quick else DOCUMENTS, LENGTHS
    lengths = [least + (most - least) * index // (count - 1) for index in range(count)]
    chance.shuffle(lengths)
    return chance.choice(texts), [of_length(texts, encoder, tokens, chance).text for tokens in lengths]


def _timed(scorer: Scorer, pairs: list[Pair]) -> Callable[[], Timed]:
    def timed() -> Timed:
        began = time.perf_counter()
        scores = scorer(pairs)
        return time.perf_counter() - began, scores

    return timed
