"""Disk: files of a loaded model are replaced, cut and removed, and an answer is one of a whole model or an error.

The seeded fault does not notice that files have changed.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests

from benchmarks.lib.known import Scores, known_scores
from benchmarks.lib.report import Figure
from benchmarks.lib.variants import variant
from reliability.lib.models import tiny_models
from reliability.lib.outcomes import alike, outcome
from reliability.lib.questions import TEXTS
from reliability.lib.run import Run
from reliability.lib.server import serving, workers
from tests.support.server_process import Server, wait_until

FULL = 300
VARIANTS = 4
MODEL = "org/changing"
ASKED = TEXTS[:4]
SECONDS = 2.5
"""For which the server is asked after each change."""
BACK_WITHIN = 15.0
WEIGHTS = "model.safetensors"

Change = Callable[[Path], object]


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _unreadable(folder: Path) -> None:
    """A folder stands in the place of the weights."""
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


def _touch(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path)


CHANGES: dict[str, Change] = {
    "the weights are cut off": lambda folder: _cut(folder / WEIGHTS),
    "the weights are removed": lambda folder: (folder / WEIGHTS).unlink(),
    "the weights are a folder": _unreadable,
    "the weights are empty": lambda folder: (folder / WEIGHTS).write_bytes(b""),
    "the config is cut off": lambda folder: _cut(folder / "config.json"),
    "the config is removed": lambda folder: (folder / "config.json").unlink(),
    "the tokenizer is spoilt": lambda folder: (folder / "tokenizer.json").write_text("{}"),
    "the tokenizer is cut off": lambda folder: _cut(folder / "tokenizer.json"),
    "the folder is removed": shutil.rmtree,
    "the folder is renamed": lambda folder: folder.rename(folder.with_name(f"other-{time.monotonic_ns()}")),
    "nothing but the times": _touch,
}


def check(run: Run) -> list[Figure]:
    """After each change the folder is replaced by that of another variant, which then must answer."""
    models = tiny_models(run.folder)
    versions = [run.folder / f"versions/{seed}" for seed in range(VARIANTS)]
    for seed, folder in enumerate(versions):
        folder.parent.mkdir(exist_ok=True)
        variant(models / "org/bert", folder, seed)
    answers = [known_scores(folder, list(ASKED)) for folder in versions]
    counts, current, dice, first = Counter[str](), 0, random.Random(9), ""
    place = models / MODEL
    _replace(versions[0], place)
    with serving(run, "org/bert", "--models-dir", str(models), "--load-grace", "30") as server:
        before = workers(server)
        for number in run.rounds(FULL, least=4):
            name = [*CHANGES][number % len(CHANGES)] if number >= 4 else dice.choice([*CHANGES])
            CHANGES[name](place)
            for one in _ask(server, answers):
                counts[one] += 1
                if one not in {"right", "refused"}:
                    first = first or f"{name}: {one}"
            current = (current + 1) % VARIANTS
            _replace(versions[current], place)
            counts["rounds"] += 1
            counts["back"] += wait_until(lambda new=answers[current]: _is(server, new), BACK_WITHIN)
        survived = before == workers(server)
    wrong = sum(count for name, count in counts.items() if name not in {"right", "refused", "rounds", "back"})
    detail = {"answers": counts["right"], "clear errors": counts["refused"], **({"first": first} if first else {})}
    rounds = counts["rounds"]
    return [
        Figure("disk", f"{rounds} changes: answers of no version, unclear errors", wrong, "", 0, detail=detail),
        Figure("disk", "folders that are served as it is now", counts["back"], "", rounds, "at least"),
        Figure("disk", "the same worker at the end", float(survived), "", 1, "at least"),
    ]


def _replace(version: Path, place: Path) -> None:
    """Puts a copy of a version where the model is, by renaming, as an operator does."""
    new = place.with_name("new")
    shutil.copytree(version, new)
    if place.exists():
        old = place.with_name("old")
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old)
    else:
        new.rename(place)


def _post(server: Server) -> requests.Response:
    body: dict[str, Any] = {"inputs": list(ASKED), "options": {"use_cache": False, "wait_for_model": True}}
    return requests.post(f"{server.url}/models/{MODEL}", json=body, timeout=60)


def _ask(server: Server, versions: Sequence[Sequence[Scores]]) -> list[str]:
    """What each request comes to, for a while."""
    end, found = time.monotonic() + SECONDS, []
    while time.monotonic() < end:
        try:
            reply = _post(server)
        except requests.RequestException as error:
            found.append(type(error).__name__)
            continue
        found.append(outcome(reply, versions))
        time.sleep(0.05)
    return found


def _is(server: Server, version: Sequence[Scores]) -> bool:
    reply = _post(server)
    return reply.status_code == 200 and alike(reply, version)
