"""Churn: more models than fit in memory, at random: right answers, memory within its budget, no lease left."""

import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post
from benchmarks.lib.known import Scores, is_right, known_scores
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.server import Server, budget_for, peak, unshared
from benchmarks.lib.texts import english
from benchmarks.lib.variants import variant
from labeld.lifecycle.loader import PEAK
from labeld.repository.folders import BUNDLED

LARGE, SMALL = 8, 12
FIT = 5
"""Large models that the memory budget holds."""
CLIENTS = 8
TEXTS = 4
READINGS = 50
"""Readings of the memory per second."""
SMALL_MODEL = BUNDLED / "labeld/language-20"
SLACK = 1.1
"""How far the memory may be above the budget for a moment."""
MB = 1e6


class Question(NamedTuple):
    """A request and its answer."""

    request: bytes
    answer: Scores


def measure(plan: Plan) -> list[Figure]:
    """Eight models of DistilBERT's size and twelve small ones, memory for five large ones, eight clients."""
    large = model_folders.folder(plan, synthetic_models.DISTILBERT)
    size = model_folders.float32_bytes(large)
    budget = budget_for((FIT - 1 + PEAK["float32"]) * size, plan.cache)
    seconds = 30 if plan.quick else 300
    with tempfile.TemporaryDirectory(dir=plan.cache) as root:
        questions = _questions(plan, Path(root), large)
        flags = ("--models-dir", root, "--memory-budget", str(budget), "--hub", "off")
        with Server(*flags, cache=Path(root) / "cache") as server:
            pid = server.status()["pid"]
            outcomes, most_used = _ask(plan, server.port, pid, questions, seconds)
            status, most_resident = server.status(), peak(pid)
    loads, evictions = status["counts"]["loads"], status["counts"]["evictions"]
    detail = {"right": outcomes["right"], "loads": loads, "evictions": evictions, "seconds": seconds}
    peaks = {"budget_mb": budget / MB, "peak_resident_mb": most_resident / MB}
    leases = sum(model["leases"] for model in status["models"])
    return [
        Figure("churn", "answers that are wrong or missing", outcomes["wrong"], "", 0, detail=detail),
        Figure("churn", "peak memory", most_used / MB, "MB", SLACK * budget / MB, detail=peaks),
        Figure("churn", "evictions", evictions, "", LARGE, "at least"),
        Figure("churn", "leases at the end", leases, "", 0),
        Figure("churn", "the same process at the end", float(status["pid"] == pid), "", 1, "at least"),
    ]


def _questions(plan: Plan, root: Path, large: Path) -> list[list[Question]]:
    """Some for each model; the models are made in the folder `root`."""
    texts = english(plan.data)[:TEXTS]
    sources = [large] * LARGE + [SMALL_MODEL] * SMALL
    found = []
    for index, source in enumerate(plan.progress.track(sources, description="churn: making models")):
        variant(source, root / f"org/model-{index}", index)
        requests = [post(f"/models/org/model-{index}", text, wait=True) for text in texts]
        answers = known_scores(root / f"org/model-{index}", texts)
        found.append([Question(*both) for both in zip(requests, answers, strict=True)])
    return found


def _ask(plan: Plan, port: int, pid: int, questions: list[list[Question]], seconds: int) -> tuple[Counter[str], int]:
    """How many answers were right and wrong (a connection that breaks is wrong), and the most memory used meanwhile."""
    stop = threading.Event()
    used: list[int] = []

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
            for _ in plan.progress.track(range(seconds * READINGS), description=f"churn: {CLIENTS} clients"):
                time.sleep(1 / READINGS)
                used.append(unshared(pid))
        finally:
            stop.set()
        return sum((one.result() for one in clients), Counter()), max(used)
