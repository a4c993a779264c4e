"""The guide's job reads files, classifies them in an actor, and writes parquet."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.lib.ray_job import SETTINGS
from tests.support.guide_examples import examples
from tests.support.tools import installed

installed("ray", "TESTS_REQUIRE_RAY")

pytestmark = pytest.mark.ray


def test_the_job_of_the_guide_runs_as_printed(tmp_path: Path, short_folder: str) -> None:
    """In order, and with progress on the terminal."""
    (tmp_path / "texts").mkdir()
    for name, texts in {"a": ["I love it", "What a waste"], "b": ["film " * 600, "Good"]}.items():
        lines = [json.dumps({"id": f"{name}{number}", "text": text}) for number, text in enumerate(texts)]
        (tmp_path / f"texts/{name}.json").write_text("\n".join(lines) + "\n")
    [(code, _)] = examples("ray").values()
    show = "import pyarrow.parquet as pq; print(pq.read_table('/data/answers').select(['id', 'label']).to_pylist())"
    code = f"{code}{show}".replace("/data", str(tmp_path))
    environment = {**os.environ, "RAY_TMPDIR": short_folder, "RAY_ADDRESS": "local", **SETTINGS}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr

    found = {row["id"]: row["label"] for row in eval(ran.stdout.splitlines()[-1])}
    assert ["a0", "a1", "b0", "b1"] == list(found)
    assert ("POSITIVE", "NEGATIVE") == (found["a0"], found["a1"])
    assert "Classifier" in ran.stderr
