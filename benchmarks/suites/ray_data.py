"""Ray Data: many texts from files to files, in order, with actors killed, and killed whole and started again."""

import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.ray_job import Job, RayJob, answers
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.texts import SEED, Measured, english, mixed_lengths
from labeld import Classifier
from labeld.system.cpu import usable_cores
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer
from labeld.types import LabelScore

BAR_SPEED = 0.9
BAR_SCORE = 1e-5
"""How far a score may be from that of `Classifier`: a text's neighbours in a batch change its last digits."""
TEXTS, FILES, KILLS = 20_000, 100, 5


def measure(plan: Plan) -> list[Figure]:
    """20,000 texts in 100 files; the smoke run has 400 in 10, kills once, and its speed means nothing."""
    count, files, kills = (400, 10, 1) if plan.quick else (TEXTS, FILES, KILLS)
    model = synthetic_models.DISTILBERT
    encoder = TextEncoder(read_tokenizer(model_folders.folder(plan, model)).tokenizer, 512, 1 << 20)
    texts = mixed_lengths(english(plan.data), encoder, count)
    options: dict[str, Any] = {"model": model.model_id, "models_dir": str(model_folders.models_dir(plan))}
    cores = usable_cores()
    task = plan.progress.add_task("ray-data: Classifier.stream, then three jobs", total=4)
    with tempfile.TemporaryDirectory(prefix="ray-data-") as folder:
        place = Path(folder)
        _write(place / "texts", texts, files)
        known, streamed = _streamed(texts, options, cores)
        plan.progress.advance(task)
        job = Job(str(place / "texts"), str(place / "in-order"), options, in_order=True, cpus=cores)
        with RayJob(job) as running:
            seconds = running.wait()
        plan.progress.advance(task)
        in_order = answers(job.answers)
        job = replace(job, answers=str(place / "actors"), in_order=False, batch_size=128, actors=cores, cpus=1)
        actors_killed = _kill_actors(job, kills, seconds)
        after_actors = answers(job.answers)
        plan.progress.advance(task)
        job = replace(job, answers=str(place / "resumed"), checkpoint=str(place / "checkpoint"))
        jobs_killed = _kill_jobs(job, kills, seconds)
        after_jobs = answers(job.answers)
        plan.progress.advance(task)
    plan.progress.remove_task(task)
    speed = sum(text.tokens for text in texts) / seconds
    detail = {"job_tokens_per_s": speed, "stream_tokens_per_s": streamed, "threads": cores, "seconds": seconds}
    name = "float32, job / Classifier.stream tokens per second"
    misplaced = sum(row["id"] != _id(number) for number, row in enumerate(in_order)) + abs(len(in_order) - count)
    return [
        Figure("ray_data", name, speed / streamed, "", BAR_SPEED, "at least", detail=detail),
        Figure("ray_data", f"{count} texts in order on demand: rows elsewhere", misplaced, "", 0),
        *_right("in order", in_order, known),
        Figure("ray_data", "actors killed", actors_killed, "", kills, "at least"),
        *_right("actors killed", after_actors, known),
        Figure("ray_data", "driver and cluster killed", jobs_killed, "", kills, "at least"),
        *_right("driver and cluster killed, and resumed", after_jobs, known),
    ]


def _id(number: int) -> str:
    return f"{number:06}"


def _write(folder: Path, texts: Sequence[Measured], files: int) -> None:
    """JSON lines in files of equal length, whose names are in order."""
    folder.mkdir()
    rows = [json.dumps({"id": _id(number), "text": text.text}) + "\n" for number, text in enumerate(texts)]
    size = -(-len(rows) // files)
    for number in range(files):
        (folder / f"{number:04}.json").write_text("".join(rows[number * size : (number + 1) * size]), encoding="utf-8")


def _streamed(texts: Sequence[Measured], options: dict[str, Any], threads: int) -> tuple[dict[str, LabelScore], float]:
    """The best label of each id, and tokens per second, of a classifier in this process."""
    with Classifier(**options, threads=threads) as classifier:
        classifier([text.text for text in texts[:64]])
        began = time.perf_counter()
        best = [ranking[0] for ranking in classifier.stream([text.text for text in texts], top_k=1)]
        speed = sum(text.tokens for text in texts) / (time.perf_counter() - began)
    return {_id(number): one for number, one in enumerate(best)}, speed


def _right(name: str, rows: list[dict[str, Any]], known: dict[str, LabelScore]) -> list[Figure]:
    """Ids that are not there exactly once, and rows whose answer is another one."""
    times = Counter(row["id"] for row in rows)
    astray = sum(times[one] != 1 for one in known) + len(times.keys() - known.keys())
    wrong = sum(row["id"] in known and not _same(row, known[row["id"]]) for row in rows)
    return [
        Figure("ray_data", f"{name}: ids not answered exactly once", astray, "", 0),
        Figure("ray_data", f"{name}: wrong answers", wrong, "", 0, detail={"rows": len(rows)}),
    ]


def _same(row: dict[str, Any], best: LabelScore) -> bool:
    return bool(row["label"] == best.label and abs(row["score"] - best.score) <= BAR_SCORE)


def _kill_actors(job: Job, kills: int, seconds: float) -> int:
    """How many actors were killed, at random moments, of a job that then ended by itself."""
    chance, killed = random.Random(SEED), 0
    with RayJob(job) as running:
        _wait_for_more(running, job, 0)
        while killed < kills and running.running():
            killed += running.kill_actor()
            time.sleep(chance.uniform(0, seconds / (2 * kills)))
        running.wait()
    return killed


def _kill_jobs(job: Job, kills: int, seconds: float) -> int:
    """How often the job was killed before it could end, each time at a random moment after it had got further."""
    chance, killed, done = random.Random(SEED), 0, 0
    for _ in range(kills):
        with RayJob(job) as running:
            done = _wait_for_more(running, job, done)
            time.sleep(chance.uniform(0, seconds / (4 * kills)))
            killed += running.running()
            running.kill()
    with RayJob(job) as running:
        running.wait()
    return killed


def _wait_for_more(running: RayJob, job: Job, done: int) -> int:
    """Files of answers, once there are more than `done` or the job has ended."""
    while (found := len(list(Path(job.answers).glob("*.parquet")))) <= done and running.running():
        time.sleep(0.05)
    return found
