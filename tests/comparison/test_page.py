"""The report of a comparison: its words, and its page in a browser."""

import json
from dataclasses import replace

import pytest
from playwright.sync_api import Browser

from labeld.comparison.answers import Answer, Pass, PeerScore, Row
from labeld.comparison.page import page_of
from labeld.comparison.pictures import pictures_of
from labeld.comparison.result import Comparison, Failure, ModelFacts, Side, result_of
from labeld.reports.page import Page, Paragraph, Table, render
from labeld.types import Text
from tests.support.browser import findings

TEXTS = ["<b>a film</b> & more", "https://example.org/" + "long" * 400, "\x1b[31mred", "日本語", "pair"]


def compared() -> Comparison:
    """Five texts, of which the peer has another answer to two and none to one."""
    rows = [Row("f.csv", 2 + place, Text(text, "b" if text == "pair" else None)) for place, text in enumerate(TEXTS)]

    def answered(best: float, seconds: float) -> Answer:
        ranking = [PeerScore("good", best), PeerScore("bad", 1 - best)]
        return Answer(tuple(sorted(ranking, key=lambda one: -(one.score or 0))), seconds)

    ours, theirs = Side("labeld"), Side("the peer")
    ours.passes.append(Pass(1, {place: answered(0.6 + place / 10, 0.01) for place in range(5)}, {}, 0.05, 0.1))
    failures = {4: "The peer answers with status 500."}
    theirs.passes.append(
        Pass(1, {place: answered(0.3 if place < 2 else 0.9, 0.1) for place in range(4)}, failures, 0.4, 0.9)
    )
    ours.memory, ours.memory_of, ours.cores = 100_000_000, "its processes", 2
    facts = ModelFacts("org/model", "0" * 40, "float32", ("bad", "good"))
    return result_of(
        facts,
        rows,
        ours,
        theirs,
        against="http://localhost:80",
        dialect="tei, by GET /info",
        unit="connections",
        thresholds={"good": 0.65},
        core_hour=0.05,
        tokens=dict.fromkeys(range(5), 7),
        notes=["A note."],
    )


def tables(page: Page) -> dict[str, list[tuple[str, ...]]]:
    """The rows of the last table of each section."""
    return {
        section.title: [tuple(row) for row in part.rows]
        for section in page.sections
        for part in section.parts
        if isinstance(part, Table)
    }


def test_the_page_says_what_was_found() -> None:
    """Figures, warnings, disagreements with both rankings, and the rows that were left out."""
    page = page_of(compared(), disagreements=1)
    found = tables(page)

    assert page.lead == (
        "org/model at 000000000000 in float32, compared with http://localhost:80 (dialect tei, by GET /info) on 4 of 5 "
        "texts."
    )
    assert ("good", "0.65", "25.00% (1 of 4)", "4.56% to 69.94%", "1", "0") == found["Answers"][0]
    assert [
        ("labeld", "100MB: its processes", "2", "278"),
        ("the peer", "not seen", "not known", "cores not known: --against-cores"),
    ] == found["Speed and cost"]
    assert [("3", f"{TEXTS[1][:499]}…", "good 0.7000\nbad 0.3000", "bad 0.7000\ngood 0.3000")] == found[
        "Texts with another best label"
    ]
    assert [("6", "The peer answers with status 500.")] == found["Rows that were not compared"]
    warnings = [part.text for part in page.sections[0].parts if isinstance(part, Paragraph)]
    busy = "The process that asks was busy with 0.90 cores: the rates may be its limit, not the servers'."
    assert ["A note.", busy] == warnings


def test_the_result_is_plain_json() -> None:
    """Rankings as lists of objects, latencies by their names; it says whether it is complete."""
    found = json.loads(json.dumps(compared().as_json()))

    assert [{"label": "good", "score": 0.7}, {"label": "bad", "score": pytest.approx(0.3)}] == found["disagreements"][
        0
    ]["ours"]
    assert {"mean", "p50", "p99", "max"} == found["ours"]["speeds"][0]["latency_ms"].keys()
    assert found["ours"]["speeds"][0]["tokens_per_second"] == pytest.approx(5 * 7 / 0.05)
    assert found["complete"] is False


def test_a_row_without_a_text_makes_it_incomplete() -> None:
    """Nothing is dropped without a word."""
    whole = replace(compared(), theirs=replace(compared().theirs, failures=[]))

    assert whole.complete
    assert not replace(whole, bad_rows=[Failure("f.csv", 9, "It has null.")]).complete


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable(chromium: Browser, scheme: str) -> None:
    """For axe-core, in both colour schemes, and on a phone without scrolling sideways; texts are no markup."""
    result = compared()
    page = chromium.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}).new_page()
    page.set_content(render(page_of(result, disagreements=9, pictures=pictures_of(result))))

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert 2 == page.locator("figure svg").count()
    assert 0 == page.locator("td b").count()
    page.context.close()
    again = chromium.new_context(color_scheme=scheme, bypass_csp=True).new_page()
    again.set_content(render(page_of(result, disagreements=9, pictures=pictures_of(result))))
    assert [] == findings(again)
    again.context.close()
