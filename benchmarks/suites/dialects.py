"""Dialects: the time of a request in another server's shape over the hosted API's, for the same cached pair."""

import time
from statistics import median

from benchmarks.lib.client import Connection, post_json
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server

BAR_MS = 0.1
MODEL, QUERY, DOCUMENT = "labeld/sentiment-en", "Is the kettle good?", "The kettle works exactly as described."
HOSTED = post_json(
    f"/models/{MODEL}",
    {"inputs": [{"text": QUERY, "text_pair": DOCUMENT}], "parameters": {"truncation": True}},
    cached=True,
)
ASKED = {
    "/rerank": {"query": QUERY, "texts": [DOCUMENT], "label": "POSITIVE", "truncate": True},
    "/v1/rerank": {"query": QUERY, "documents": [DOCUMENT], "label": "POSITIVE"},
    "/score": {"queries": QUERY, "documents": [DOCUMENT], "label": "POSITIVE"},
    "/predict": {"inputs": [[QUERY, DOCUMENT]], "truncate": True},
}
BLOCK = 50


def measure(plan: Plan) -> list[Figure]:
    """Median over one connection less that of the hosted path, in alternating blocks."""
    blocks = 4 if plan.quick else 40
    found = []
    with (
        Server(MODEL, "--cache-bytes", str(1 << 20), cache=plan.cache) as server,
        Connection(server.port) as connection,
    ):

        def milliseconds(request: bytes) -> float:
            began = time.perf_counter()
            status, reply = connection.ask(request)
            assert status == 200, reply
            return 1e3 * (time.perf_counter() - began)

        for path, body in ASKED.items():
            request = post_json(path, body, cached=True)
            hosted: list[float] = []
            dialect: list[float] = []
            for block in plan.progress.track(range(-1, blocks), description=f"dialects: {path}"):
                one = [milliseconds(HOSTED) for _ in range(BLOCK)]
                other = [milliseconds(request) for _ in range(BLOCK)]
                if block >= 0:  # the first is a warm-up
                    hosted += one
                    dialect += other
            over = median(dialect) - median(hosted)
            detail = {"dialect_ms": summary(dialect), "hosted_ms": summary(hosted)}
            found.append(Figure("dialects", f"{path} over the hosted path, cached", over, "ms", BAR_MS, detail=detail))
    return found
