"""A classifier of tables in Spark, in local mode: rankings are transformers', and the guide's examples work."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.guide_examples import examples
from tests.support.rankings import same
from tests.support.tiny_models import TEXTS
from tests.support.tools import installed

installed("pyspark", "TESTS_REQUIRE_SPARK")

pytestmark = pytest.mark.spark

WITHIN = 600.0
BEGIN = """
import json, sys
from pyspark.sql import SparkSession

settings = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
"""
RANKINGS = """
options, rows = json.loads(sys.argv[1]), json.loads(sys.argv[2])
classify = TableClassifier(**options, ranking_column="ranking")
frame = spark.createDataFrame(rows, "id int, text string").repartition(3)
schema = "id int, text string, label string, score double, ranking array<struct<label string, score double>>"
answered = frame.mapInPandas(lambda parts: map(classify, parts), schema).orderBy("id").collect()
arrow = frame.mapInArrow(lambda parts: map(classify, parts), schema).orderBy("id").collect()
assert [row.ranking for row in arrow] == [row.ranking for row in answered]
print(json.dumps([[one.asDict() for one in row.ranking] for row in answered]))
try:
    spark.createDataFrame([(5, None)], "id int, text string").mapInPandas(
        lambda parts: map(classify, parts), schema).collect()
except Exception as error:
    print(json.dumps(str(error)))
"""


def test_in_spark_the_rankings_are_those_of_transformers(
    models_dir: Path, tmp_path: Path, expected: Callable[..., Any]
) -> None:
    """The guide's examples print what it says, then a data frame in three parts is answered, and a null row named."""
    guide = examples("spark")
    code = BEGIN + "".join(one for one, _ in guide.values()) + RANKINGS
    options = {"model": "org/bert", "models_dir": str(models_dir), "cache_dir": str(tmp_path / "cache"), "threads": 1}
    rows = [[number, text] for number, text in enumerate(TEXTS)]
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_DIRS": str(tmp_path),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [sys.executable, "-c", code, json.dumps(options), json.dumps(rows)]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=WITHIN, cwd=tmp_path, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    *printed, rankings, error = ran.stdout.splitlines()

    assert [output.strip() for _, output in guide.values()] == printed
    same(json.loads(rankings), expected("org/bert", TEXTS))
    assert "Row 0 of the batch (id: '5') has null in column 'text', but must have a string" in json.loads(error)
