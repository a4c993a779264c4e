"""Rerankers in processes and environments of their own: peers of the figure rerank that cannot be beside labeld."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path

from benchmarks.lib.cross_encoders import Pair, Scorer
from benchmarks.lib.peer import PEERS, Peer, PeerError, Variant, read_peer
from benchmarks.lib.peer_environment import environment
from benchmarks.lib.peer_process import Running, RunningLibrary, RunningServer, peer_process
from benchmarks.lib.report import Plan

LIBRARIES = ("crossencoder_onnx", "crossencoder_openvino")
"""Names of peers that are asked for pairs."""
SERVER = "infinity"
"""That which is asked at its /rerank."""
BATCHES = (8, 32)
"""Pairs of a batch, of which the fastest counts."""
PATIENCE = 600.0
"""Seconds for an answer, or for the first one, before which some export the model, at most."""
FAR = 1e-3
"""A score that is so far from transformers' is wrong, and the way that gives it is not timed."""


@contextmanager
def peer_rerankers(
    plan: Plan, folder: Path, pairs: Sequence[Pair], scores: Sequence[float]
) -> Iterator[tuple[dict[str, Scorer], dict[str, str]]]:
    """Every way in float32 by its name, and why others take no part; environments that lack are made.

    All are stopped while they are not asked. `scores` are those that transformers gives these pairs.
    """
    if plan.quick:
        yield {}, {"all of them": "a quick run makes no environments"}
        return
    found: dict[str, Scorer] = {}
    reasons: dict[str, str] = {}
    with ExitStack() as stack:
        for name in (*LIBRARIES, SERVER):
            peer = read_peer(PEERS / f"{name}.py")
            for variant in peer.variants:
                if variant.precision == "float32" and variant.name == "tuned":
                    try:
                        for batch, process in _started(plan, folder, peer, variant):
                            ask = _scorer(stack.enter_context(process), pairs)
                            _require_right(ask(pairs), scores)
                            stack.enter_context(process.paused())
                            found[f"{peer.title} ({variant.engine}) by {batch}"] = partial(_resumed, process, ask)
                    except PeerError as error:
                        reasons[f"{peer.title} ({variant.engine})"] = str(error)
        yield found, reasons


def _started(plan: Plan, folder: Path, peer: Peer, variant: Variant) -> Iterator[tuple[int, Running]]:
    """The variant's process for each size of batch."""
    python = environment(peer, plan.cache, plan.progress).python
    for batch in BATCHES:
        size = ("--rows" if peer.in_process else "--batch", str(batch))
        sized = replace(variant, arguments=(*variant.arguments, *size))
        yield batch, peer_process(replace(peer, path="/rerank"), sized, python, folder, plan.cache)


def _scorer(process: Running, pairs: Sequence[Pair]) -> Scorer:
    """Asks a process that runs; a server is waited for."""
    if isinstance(process, RunningServer):
        process.first_answer(_body(pairs), PATIENCE)
        return partial(_asked, process)
    assert isinstance(process, RunningLibrary)
    return partial(_read, process)


def _resumed(process: Running, ask: Scorer, pairs: Sequence[Pair]) -> list[float]:
    with process.resumed():
        return ask(pairs)


def _require_right(scores: Sequence[float], expected: Sequence[float]) -> None:
    off = max(abs(a - b) for a, b in zip(scores, expected, strict=True))
    if not off <= FAR:
        raise PeerError(f"its scores are wrong: up to {off:.2g} away from transformers'; it is not timed.")


def _body(pairs: Sequence[Pair]) -> bytes:
    """A request for the documents of one query."""
    return json.dumps({"model": "model", "query": pairs[0][0], "documents": [one for _, one in pairs]}).encode()


def _read(process: RunningLibrary, pairs: Sequence[Pair]) -> list[float]:
    """The scores by a library, which reads the pairs from a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": query, "pair": document}) + "\n" for query, document in pairs)
        file.flush()
        rankings = process.answers(Path(file.name), PATIENCE).rankings
    return [one[0]["score"] for one in rankings]


def _asked(process: RunningServer, pairs: Sequence[Pair]) -> list[float]:
    """The scores by a server, in one request: all pairs have one query."""
    status, reply = process.ask(_body(pairs), PATIENCE)
    if status != 200:
        raise PeerError(f"it answered {status}: {reply[:200].decode(errors='replace')}")
    results = sorted(json.loads(reply)["results"], key=itemgetter("index"))
    return [one["relevance_score"] for one in results]
