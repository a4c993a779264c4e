"""Jobs of Ray Data: right answers in every format, in order on demand, and each text once whoever is killed."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lib.ray_job import SETTINGS, Job, RayJob, answers
from tests.support.rankings import same
from tests.support.tiny_models import TEXTS, WORDS
from tests.support.tools import installed

installed("ray", "TESTS_REQUIRE_RAY")

pytestmark = pytest.mark.ray

WITHIN = 600.0
FILES, ROWS = 16, 50


@pytest.fixture
def job(models_dir: Path, tmp_path: Path) -> Job:
    """A job with 800 texts in 16 files, the first of which are those of the other tests."""
    chance = random.Random(5)
    texts = [*TEXTS, *(" ".join(chance.choices(WORDS, k=100)) for _ in range(FILES * ROWS - len(TEXTS)))]
    (tmp_path / "texts").mkdir()
    for number in range(FILES):
        rows = [{"id": f"{index:05}", "text": texts[index]} for index in range(number * ROWS, (number + 1) * ROWS)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"texts/{number:03}.json").write_text(lines, encoding="utf-8")
    options = {"model": "org/bert", "models_dir": str(models_dir), "cache_dir": str(tmp_path / "cache")}
    return Job(str(tmp_path / "texts"), str(tmp_path / "answers"), options, batch_size=ROWS)


def check(found: list[dict[str, Any]], expected: Callable[..., Any]) -> None:
    """Every id is there once, the first texts' answers are transformers', and no answer is missing."""
    assert [f"{number:05}" for number in range(FILES * ROWS)] == sorted(row["id"] for row in found)
    assert all(row["label"] and row["score"] for row in found)
    by_id = {row["id"]: [{"label": row["label"], "score": row["score"]}] for row in found}
    same([by_id[f"{number:05}"] for number in range(len(TEXTS))], expected("org/bert", TEXTS, top_k=1))


def wait_for_files(running: RayJob, folder: str) -> None:
    """Returns once the job has written some answers, while it still runs."""
    until = time.monotonic() + WITHIN
    while not answers(folder):
        assert running.running(), running.log.read_text()
        assert time.monotonic() < until, running.log.read_text()
        time.sleep(0.02)


def test_actors_may_be_killed_and_order_is_kept(job: Job, expected: Callable[..., Any]) -> None:
    """With preserve_order the rows are written as they were read, also when an actor dies on the way."""
    with RayJob(replace(job, in_order=True, actors=2)) as running:
        wait_for_files(running, job.answers)
        assert running.kill_actor()
        running.wait(WITHIN)
        found = answers(job.answers)

    check(found, expected)
    assert [row["id"] for row in found] == sorted(row["id"] for row in found)


def test_a_killed_job_goes_on_where_it_was(job: Job, tmp_path: Path, expected: Callable[..., Any]) -> None:
    """Driver and cluster are killed at once; the same job, started again, answers what was not answered."""
    job = replace(job, checkpoint=str(tmp_path / "checkpoint"))
    with RayJob(job) as running:
        wait_for_files(running, job.answers)
        running.kill()
    done = len(answers(job.answers))
    with RayJob(job) as running:
        running.wait(WITHIN)

    assert 0 < done < FILES * ROWS
    check(answers(job.answers), expected)


SCRIPT = """
import json, sys
import ray
from ray.data import ActorPoolStrategy
from labeld.ray import Classifier

@ray.remote
def threads():
    return Classifier().default_threads()

options = json.loads(sys.argv[1])
rows = json.loads(sys.argv[2])
ray.init(address="local", num_cpus=8, include_dashboard=False, _temp_dir=sys.argv[3], log_to_driver=False,
         object_store_memory=100_000_000)
texts = ray.data.from_items(rows)
pool = ActorPoolStrategy(size=1)
counting = [threads.options(num_cpus=cpus).remote() for cpus in (0.5, 3)]
found = {"threads": [Classifier().default_threads(), *ray.get(counting)]}
for kind in ("pandas", "pyarrow"):
    answered = texts.map_batches(Classifier, fn_constructor_kwargs={**options, "ranking_column": "ranking"},
                                 batch_format=kind, num_cpus=1, compute=pool)
    found[kind] = sorted(answered.take_all(), key=lambda row: row["id"])
try:
    ray.data.from_items([*rows, {"id": 77, "text": None}]).map_batches(
        Classifier, fn_constructor_kwargs=options, num_cpus=1, compute=pool).take_all()
except Exception as error:
    found["error"] = str(error)
print(json.dumps(found))
"""


def test_every_format_is_taken_and_a_bad_row_is_named(
    job: Job, short_folder: str, expected: Callable[..., Any]
) -> None:
    """Batches may be frames or tables, too; threads are Ray's processors; the driver's error has the sentence."""
    rows = [{"id": number, "text": text} for number, text in enumerate(TEXTS)]
    command = [sys.executable, "-c", SCRIPT, json.dumps(job.options), json.dumps(rows), short_folder]
    environment = {**os.environ, **SETTINGS}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])

    for kind in ("pandas", "pyarrow"):
        same([row["ranking"] for row in found[kind]], expected("org/bert", TEXTS))
    assert [0, 1, 3] == found["threads"]
    assert "(id: '77') has null in column 'text', but must have a string: fill or filter" in found["error"]
