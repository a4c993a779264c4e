"""Churn: more models than fit, asked for at random. Right answers, memory within the budget, and no lease left over."""

import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks import standins
from benchmarks.client import Connection, post
from benchmarks.known import Scores, is_right, known_scores
from benchmarks.report import Figure, Plan
from benchmarks.server import Server, budget_for
from benchmarks.texts import english
from benchmarks.variants import variant
from labeld.folders import BUNDLED
from labeld.loader import PEAK

LARGE, SMALL = 5, 15
FIT = 5
"""Large models for which the budget is."""
CLIENTS = 8
TEXTS = 4
SMALL_MODEL = BUNDLED / "labeld/language-20"
SLACK = 1.1
"""How far the memory may be above the budget for a moment."""
MB = 1e6


class Question(NamedTuple):
    """A request and its answer."""

    request: bytes
    answer: Scores


def measure(plan: Plan) -> list[Figure]:
    """Five models of DistilBERT's size and fifteen small ones, memory for five large ones, eight clients."""
    large = standins.folder(plan, standins.DISTILBERT)
    size = standins.float32_bytes(large)
    budget = budget_for((FIT - 1 + PEAK) * size, plan.cache)
    seconds = 30 if plan.quick else 300
    with tempfile.TemporaryDirectory(dir=plan.cache) as root:
        questions = _questions(plan, Path(root), large)
        flags = ("--models-dir", root, "--memory-budget", str(budget), "--hub", "off")
        with Server(*flags, cache=Path(root) / "cache", observed=True) as server:
            first = server.observed()
            outcomes = _ask(plan, server.port, questions, seconds)
            last = server.observed()
    loads, evictions = (last[name] - first[name] for name in ("loads", "evictions"))
    detail = {"right": outcomes["right"], "loads": loads, "evictions": evictions, "seconds": seconds}
    peaks = {"budget_mb": budget / MB, "peak_resident_mb": last["peak_resident"] / MB}
    survived = float(last["pid"] == first["pid"])
    return [
        Figure("churn", "answers that are wrong or missing", outcomes["wrong"], "", 0, detail=detail),
        Figure("churn", "peak memory", last["peak_used"] / MB, "MB", SLACK * budget / MB, detail=peaks),
        Figure("churn", "evictions", evictions, "", LARGE, "at least"),
        Figure("churn", "leases at the end", sum(last["leases"].values()), "", 0),
        Figure("churn", "the same process at the end", survived, "", 1, "at least"),
    ]


def _questions(plan: Plan, root: Path, large: Path) -> list[list[Question]]:
    """Some for each model, which is made in the folder."""
    texts = english(plan.data)[:TEXTS]
    sources = [large] * LARGE + [SMALL_MODEL] * SMALL
    found = []
    for index, source in enumerate(plan.progress.track(sources, description="churn: making models")):
        variant(source, root / f"org/model-{index}", index)
        requests = [post(f"/models/org/model-{index}", text, wait=True) for text in texts]
        answers = known_scores(root / f"org/model-{index}", texts)
        found.append([Question(*both) for both in zip(requests, answers, strict=True)])
    return found


def _ask(plan: Plan, port: int, questions: list[list[Question]], seconds: int) -> Counter[str]:
    """How many answers were right and wrong; a connection that breaks is a wrong one."""
    stop = threading.Event()

    def client(seed: int) -> Counter[str]:
        dice, outcomes = random.Random(seed), Counter[str]()
        while not stop.is_set():
            try:
                with Connection(port) as connection:
                    while not stop.is_set():
                        question = dice.choice(dice.choice(questions))
                        is_good = is_right(*connection.ask(question.request), question.answer)
                        outcomes["right" if is_good else "wrong"] += 1
            except OSError:
                outcomes["wrong"] += 1
        return outcomes

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, seed) for seed in range(CLIENTS)]
        try:
            for _ in plan.progress.track(range(seconds), description=f"churn: {CLIENTS} clients"):
                time.sleep(1)
        finally:
            stop.set()
        return sum((one.result() for one in clients), Counter())
