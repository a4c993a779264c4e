"""The dashboard of Grafana asks only for metrics and labels that a server exposes."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.deployment import DEPLOY
from tests.support.server_process import configured, wait_until

BOARD = json.loads((DEPLOY / "grafana/labeld.json").read_text())
ALIASES = """\
models:
  quick: {model: labeld/sentiment-en, precision: int8}
  careful: {model: labeld/sentiment-en, shadow: {model: quick}, split: {model: quick, share: 0.5}}
"""
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
OF_PROMETHEUS = {"job"}
"""Labels that a scrape adds."""


def expressions() -> Iterator[str]:
    """Every query, of the panels and of the variables."""
    yield from (target["expr"] for panel in BOARD["panels"] for target in panel["targets"])
    yield from (one["definition"] for one in BOARD["templating"]["list"] if one["type"] == "query")


def names(expression: str) -> set[str]:
    """The metrics that a query names."""
    return set(re.findall(r"\b(?:labeld|process)_[a-z_]+", expression))


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each metric of a server that has answered, found one of its texts cached, and refused."""
    folder = tmp_path_factory.mktemp("board")
    with configured(folder, ALIASES, "--max-in-flight", "1") as running:
        for text in ("good", "good", "bad"):
            running.classify(text, "labeld/sentiment-en")
        with running.occupied():
            assert wait_until(lambda: running.get("/status").json()["requests"]["in_flight"] == 1)
            assert running.get("/api/models").status_code == 429
        families = [*text_string_to_metric_families(running.get("/metrics").text)]
    found: dict[str, set[str]] = {}
    for one in families:
        for suffix in SUFFIXES.get(one.type, ("",)):
            found[one.name + suffix] = set()
        for sample in one.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_is_one_of_a_server(exposed: dict[str, set[str]]) -> None:
    """By the name under which Prometheus stores it."""
    asked = set().union(*map(names, expressions()))

    assert len(asked) > 15
    assert [] == sorted(asked - exposed.keys())


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_label_is_one_of_its_metrics(exposed: dict[str, set[str]], expression: str) -> None:
    """Those that a query matches or groups by; its brackets are closed."""
    matched = re.findall(r"([a-z_]+)=~", expression)
    grouped = [label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")]
    if listed := re.fullmatch(r"label_values\((.+),([a-z]+)\)", expression):
        grouped.append(listed[2])
    known = set().union(*(exposed[name] for name in names(expression))) | OF_PROMETHEUS
    rejected = "labeld_rejected_total" in expression  # nothing was, so its labels are not known here

    assert {*matched, *grouped} <= known | ({"status"} if rejected else set())
    assert all(expression.count(one) == expression.count(other) for one, other in ("()", "{}", "[]"))


def test_legends_name_labels_that_are_grouped_by() -> None:
    """Or they would be empty."""
    wrong = [
        target["expr"]
        for panel in BOARD["panels"]
        for target in panel["targets"]
        for label in re.findall(r"\{\{([a-z]+)\}\}", target["legendFormat"])
        if not re.search(rf"by \([^)]*\b{label}\b[^)]*\)", target["expr"])
    ]

    assert [] == wrong


def test_the_form_is_that_of_grafana_11() -> None:
    """Its schema, the data source as a variable, and panels that lie side by side on 24 columns."""

    def overlap(one: Any, other: Any) -> bool:
        across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]

    panels = BOARD["panels"]
    places = [one["gridPos"] for one in panels]

    assert 39 == BOARD["schemaVersion"]
    assert "datasource" == BOARD["templating"]["list"][0]["name"]
    assert len(panels) == len({one["id"] for one in panels}) == len({one["title"] for one in panels})
    assert {"${datasource}"} == {one["datasource"]["uid"] for panel in panels for one in (panel, *panel["targets"])}
    assert not any(overlap(one, other) for one, other in combinations(places, 2))
    assert all(one["x"] + one["w"] <= 24 for one in places)


def test_the_guide_names_every_panel() -> None:
    """By its title."""
    guide = (DEPLOY.parent / "docs/guides/deploying.md").read_text()

    assert [] == [one["title"] for one in BOARD["panels"] if one["title"] not in guide]
