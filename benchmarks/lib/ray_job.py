"""A job of Ray Data as the guide shows it, from JSON files over actors to parquet, in a process that can be killed.

`python -m benchmarks.lib.ray_job JOB`, whose JSON has the fields of Job, runs one on a cluster of its own, and prints
the seconds from the plan to the last file as its last line.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.lib.server import clean_environment
from benchmarks.lib.subreaper import descendants

ACTOR = b"MapBatches(Classifier)"
"""In the title of the processes that classify."""

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
"""Variables of a cluster: it tells nobody of itself, and its workers have the priority of any process."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is read, how it is classified, and where the answers go."""

    texts: str
    """Folder of JSON lines with an `id` and a `text`."""
    answers: str
    """Folder of parquet files with `label` and `score` as well."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the classifier."""
    checkpoint: str | None = None
    """Folder in which Ray notes the ids that are done, so that the same job can go on after its end."""
    in_order: bool = False
    actors: int = 1
    cpus: int = 1
    """Of each actor."""
    batch_size: int = 1024


class RayJob:
    """A running job with its cluster, as a context at whose end no process and no file of the cluster is left."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))  # NOTE: a short path, since sockets lie below it
        self.log, self._printed = self._folder / "log", self._folder / "printed"
        command = [sys.executable, "-m", __spec__.name, json.dumps(asdict(self._job)), str(self._folder)]
        environment = {**clean_environment(), **SETTINGS}
        with self.log.open("wb") as log, self._printed.open("wb") as printed:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=log, env=environment, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self, timeout: float | None = None) -> float:
        """The seconds that the job took, once it has ended; raises RuntimeError with its log if it failed."""
        code = self._process.wait(timeout)
        if code:
            raise RuntimeError(f"The job ended with code {code}:\n{self.log.read_text(errors='replace')[-4000:]}")
        return float(self._printed.read_text().split()[-1])

    def running(self) -> bool:
        """Whether the job has not ended."""
        return self._process.poll() is None

    def kill_actor(self) -> bool:
        """Kills a process that classifies; False when there is none."""
        for pid in descendants(self._process.pid):
            with suppress(OSError):
                if ACTOR in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    def kill(self) -> None:
        """Kills the driver and every process of its cluster at once, and waits until they are gone."""
        others = descendants(self._process.pid)
        self._process.kill()
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        while any(_alive(pid) for pid in others):
            time.sleep(0.01)


def _alive(pid: int) -> bool:
    """Whether a process still runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def answers(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of all complete files in a folder of answers, file by file in the order of their names."""
    from pyarrow import ArrowInvalid, parquet  # noqa: PLC0415  # comes with the extra ray

    rows: list[dict[str, Any]] = []
    for file in sorted(Path(folder).glob("*.parquet")):
        with suppress(ArrowInvalid, OSError):  # one that is being written
            rows += parquet.read_table(file).to_pylist()
    return rows


def _run(job: Job, folder: str) -> float:
    import ray  # noqa: PLC0415  # an extra, and its import takes seconds
    from ray.data.checkpoint import CheckpointConfig  # noqa: PLC0415

    from labeld.ray import Classifier  # noqa: PLC0415

    cpus = job.actors * job.cpus + 2  # NOTE: what reads and writes needs some too, or nothing would move
    ray.init(address="local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder, object_store_memory=200_000_000)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = job.in_order
    if job.checkpoint:
        context.checkpoint_config = CheckpointConfig("id", job.checkpoint, delete_checkpoint_on_success=False)
    began = time.perf_counter()
    texts = ray.data.read_json(job.texts)
    answered = texts.map_batches(
        Classifier,
        fn_constructor_kwargs=job.options,
        batch_size=job.batch_size,
        num_cpus=job.cpus,
        compute=ray.data.ActorPoolStrategy(size=job.actors),
    )
    answered.write_parquet(job.answers)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(_run(Job(**json.loads(sys.argv[1])), sys.argv[2]))
