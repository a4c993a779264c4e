"""The widgets of ranking, zero-shot classification, long texts and policies, in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, Visitor, findings, weights
from tests.support.payloads import PAYLOADS
from tests.support.server_process import Server, configured

FILE = """\
models:
  tone: {model: labeld/sentiment-en, windows: {max_length: 32, stride: 8}}
  topics: {model: org/nli, windows: {max_length: 32, stride: 8}, zero_shot: {candidate_labels: [good, market]}}
policies:
  default: {models: {tone: {threshold: {NEGATIVE: 0.9}, categories: {NEGATIVE: harassment}}}}
"""
RANK, ZERO_SHOT = "/models/org/one-label?task=text-ranking", "/models/org/nli?task=zero-shot-classification"
TONE, POLICY = "/models/tone", "/policies/default"
EMOJI = "\N{GRINNING FACE} \N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4} "
LONG = (EMOJI + "I love this lovely film. ") * 8 + "I hate you, you are awful, terrible and worthless. " * 4
TRICKY = 'It\'s "good" \\ $HOME `id` \u202e\u2028 </script> 世界 👎🏽'


@pytest.fixture(scope="module")
def site(dialect_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model for each task, with an alias and a policy."""
    folder = tmp_path_factory.mktemp("widgets")
    models = ("tone", "org/bert", "org/one-label", "org/nli")
    arguments = (*models, "--models-dir", str(dialect_models))
    with configured(folder, FILE, *arguments) as running:
        yield running


def computed(page: Page) -> list[tuple[str, str]]:
    """Label, or document, and score of each bar, after a click on the button."""
    page.click("#compute")
    expect(page.locator("#compute")).to_have_text("Compute")
    expect(page.locator("#result")).to_be_visible()
    rows = page.locator("#ranking li").all()
    return [(row.locator(".label").inner_text(), row.locator(".score").inner_text()) for row in rows]


def asked(server: Server, path: str, body: dict[str, Any], **headers: str) -> Any:
    """The reply to a program."""
    reply = server.post(path, json=body, headers=headers)
    assert 200 == reply.status_code, reply.text
    return reply.json()


def test_documents_are_ranked(site: Server, visitor: Visitor) -> None:
    """One of each line that is not blank, best first with their scores; the address has them all."""
    page = visitor.open(site, RANK)
    documents = ["the market fell", "i love it", "a good film 世界"]
    page.fill("#query", "i like the film")
    page.fill("#documents", " the market fell\n\ni love it \n a good film 世界\n")
    shown = computed(page)
    body = {"inputs": {"query": "i like the film", "texts": documents}}
    expected = asked(site, "/pipeline/text-ranking/org/one-label", body)

    assert [(documents[one["index"]], f"{one['score']:.3f}") for one in expected] == shown
    assert 3 == len(shown)
    again = visitor.open(site, page.url.removeprefix(site.url))
    expect(again.locator("#query")).to_have_value("i like the film")
    expect(again.locator("#documents")).to_have_value("\n".join(documents))
    assert shown == computed(again)
    page.fill("#documents", " \n ")
    page.click("#compute")
    expect(page.locator("#error")).to_have_text("You need to input some documents")


def test_what_is_cut_of_a_document_is_said(site: Server, visitor: Visitor) -> None:
    """Ranking cuts a document that is too long; the widget says how much nobody has read."""
    page = visitor.open(site, RANK)
    page.fill("#documents", "good " * 400)
    computed(page)

    expect(page.locator("#timing")).to_contain_text("characters were cut and not read")


@pytest.mark.parametrize("multi_label", [False, True])
def test_labels_are_typed_in(site: Server, visitor: Visitor, multi_label: bool) -> None:
    """With commas between them, one by one or against each other, and with a hypothesis of one's own."""
    page = visitor.open(site, ZERO_SHOT)
    page.fill("#text", "the market fell")
    page.fill("#labels", "market , film,, good")
    page.fill("#template", "it is {}")
    page.set_checked("#multi-label", multi_label)
    shown = computed(page)
    parameters = {
        "candidate_labels": ["market", "film", "good"],
        "hypothesis_template": "it is {}",
        "multi_label": multi_label,
    }
    body = {"inputs": "the market fell", "parameters": parameters}
    expected = asked(site, "/pipeline/zero-shot-classification/org/nli", body)

    assert [(one["label"], f"{one['score']:.3f}") for one in expected] == shown
    again = visitor.open(site, page.url.removeprefix(site.url))
    assert shown == computed(again)


def test_the_servers_sentence_about_labels(site: Server, visitor: Visitor) -> None:
    """A hypothesis without a place for the label is refused in place."""
    page = visitor.open(site, ZERO_SHOT, expected=(400,))
    page.fill("#template", "nothing")
    page.click("#compute")

    expect(page.locator("#error")).to_contain_text("must have {} once, where the label goes")


def marks(page: Page) -> list[list[str]]:
    """Text and title of each coloured piece; the title has number, label and score of every window around it."""
    found: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll("#coloured mark")].map((one) => [one.textContent, one.title])"""
    )
    return found


@pytest.mark.parametrize("name", ["tone", "org/bert"])
def test_windows_are_coloured(site: Server, visitor: Visitor, name: str) -> None:
    """Those of the reply, in code points, in text and table; the emoji before them shift nothing."""
    page = visitor.open(site, f"/models/{name}", expected=(400,))
    text = LONG.strip()
    page.fill("#text", LONG)
    if name == "org/bert":  # which is not asked for windows, but the text is too long for it
        expect(page.locator("#windows")).not_to_be_checked()
    computed(page)
    expect(page.locator("#windows")).to_be_checked()
    (answer,) = json.loads(page.text_content("#raw") or "")
    windows = answer["windows"]
    rows = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in page.locator("#span-rows tr").all()]

    assert len(windows) > 1
    assert text == page.evaluate("document.getElementById('coloured').textContent")
    assert [
        [
            str(index + 1),
            f"{one['start']} to {one['end']}",
            one["labels"][0]["label"],
            f"{one['labels'][0]['score']:.3f}",
        ]
        for index, one in enumerate(windows)
    ] == rows
    pieces = marks(page)
    for index, one in enumerate(windows):
        number = f"{index + 1}: "
        assert text[one["start"] : one["end"]] == "".join(
            words for words, title in pieces if any(part.startswith(number) for part in title.split(", "))
        )
    legend = {one.inner_text().rsplit(" ", 1)[0].strip() for one in page.locator("#legend li").all()}
    assert {one["labels"][0]["label"] for one in windows} == legend
    expect(page.locator("#spans-note")).to_contain_text(f"{len(windows)} windows")


def test_windows_of_a_second_text(site: Server, visitor: Visitor) -> None:
    """Of a pair the longer text is read in windows, and drawn."""
    page = visitor.open(site, "/models/org/bert?" + urlencode({"text": "a film", "text_pair": LONG}), expected=(400,))
    computed(page)

    expect(page.locator("#spans-note")).to_contain_text("The second text was read in")
    assert LONG.strip() == page.evaluate("document.getElementById('coloured').textContent")


def test_candidate_labels_of_an_alias(site: Server, visitor: Visitor) -> None:
    """Its widget of text classification shows them, and no windows, which the reply does not have."""
    page = visitor.open(site, "/models/topics")
    page.fill("#text", LONG)
    expect(page.locator("#windows")).to_be_checked()
    shown = computed(page)
    (ranking,) = asked(site, "/models/topics", {"inputs": LONG.strip()})

    assert [(one["label"], f"{one['score']:.3f}") for one in ranking] == shown
    assert {"good", "market"} == {label for label, _ in shown}
    expect(page.locator("#spans")).to_be_hidden()


def test_a_policy_flags_parts(site: Server, visitor: Visitor) -> None:
    """The categories with their scores, and the parts as the detector's route finds them; nothing where nothing is."""
    page = visitor.open(site, POLICY)
    page.fill("#text", LONG)
    shown = computed(page)
    (found,) = asked(site, "/api/v1/text/contents", {"contents": [LONG.strip()]}, **{"detector-id": "default"})

    assert [("harassment", f"{max(one['score'] for one in found):.3f}")] == shown
    assert [one["text"] for one in found] == [
        "".join(words for words, title in marks(page) if title.startswith(f"{index + 1}: "))
        for index in range(len(found))
    ]
    page.fill("#text", "I love this lovely film.")
    assert [] == computed(page)
    expect(page.locator("#more")).to_have_text("Nothing is flagged.")
    expect(page.locator("#spans")).to_be_hidden()


def test_the_front_page_leads_to_what_is_configured(site: Server, visitor: Visitor) -> None:
    """Aliases and policies of the file, each with a page of its own, also as JSON."""
    page = visitor.open(site, "/")
    page.click("h3 >> text=tone")
    expect(page.locator("h1")).to_have_text("tone")
    expect(page.locator(".details")).to_contain_text("labeld/sentiment-en")
    page = visitor.open(site, "/")
    page.click("h3 >> text=default")
    expect(page.locator("h1")).to_have_text("Policy default")
    home = site.get("/").json()

    assert ({"tone": "labeld/sentiment-en", "topics": "org/nli"}, ["default"]) == (home["aliases"], home["policies"])
    assert {"NEGATIVE": 0.9} == site.get("/policies/default").json()["models"]["tone"]["threshold"]
    assert 404 == site.get("/policies/none").status_code
    assert ["text-classification", "zero-shot-classification", "text-ranking"] == site.get("/models/org/nli").json()[
        "tasks"
    ]
    assert ["text-classification"] == site.get("/models/tone").json()["tasks"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RANK, {"query": TRICKY, "documents": f"{TRICKY}\nb"}),
        (ZERO_SHOT, {"text": TRICKY, "labels": f"{TRICKY}, b", "multi-label": True}),
        (TONE, {"text": TRICKY, "stride": "4"}),
        ("/models/org/bert", {"text": "a", "pair": TRICKY, "windows": True}),
        (POLICY, {"text": TRICKY}),
    ],
)
def test_the_code_follows_the_widget(site: Server, visitor: Visitor, path: str, fields: dict[str, str | bool]) -> None:
    """Each program has what the widget has, as the server itself writes it for the address of the request."""
    page = visitor.open(site, path)
    if "pair" in fields:
        page.click("summary")
    for name, value in fields.items():
        if isinstance(value, bool):
            page.set_checked(f"#{name}", value)
        else:
            page.fill(f"#{name}", value)
    codes = shown_codes(page)
    computed(page)
    again = visitor.open(site, page.url.removeprefix(site.url), java_script_enabled=False)

    assert codes
    assert codes == shown_codes(again)


def shown_codes(page: Page) -> dict[str | None, str | None]:
    """The programs of the kind that is asked, by id."""
    return {
        code.get_attribute("id"): code.text_content() for code in page.locator(".program:not([hidden]) code[id]").all()
    }


@pytest.mark.parametrize("path", [RANK, ZERO_SHOT, TONE, POLICY])
def test_widgets_are_light_and_accessible(site: Server, visitor: Visitor, path: str) -> None:
    """By keyboard alone, with axe finding nothing serious, light or dark, no wider than a phone, and light."""
    page = visitor.open(site, "/static/icon.svg", expected=(404,), reduced_motion="reduce")
    sizes = weights(page, site.url + path)
    assert sum(sizes) < 100_000
    assert len(sizes) <= 10
    fields = page.locator("#widget :is(input, textarea, select, button)").all()
    wanted = {field.get_attribute("id") for field in fields if field.is_visible()}
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
    assert wanted - {None} <= seen
    first = "#documents" if path == RANK else "#text"
    page.fill(first, LONG)
    page.focus(first)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result")).to_be_visible()
    assert [] == findings(page)
    page.emulate_media(color_scheme="dark")
    assert [] == findings(page, "color-contrast")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_nothing_planted_runs(site: Server, visitor: Visitor) -> None:
    """Documents and labels that are payloads, as texts, in rankings, in windows and in code."""
    # NOTE: the browser ignores the page's policy: escaping alone must do
    some = PAYLOADS[:12]
    for path, fields in (
        (RANK, {"query": some[0], "documents": "\n".join(some)}),
        (ZERO_SHOT, {"text": some[0], "labels": ", ".join(some)}),
        (TONE, {"text": " ".join(some)}),
        (POLICY, {"text": " ".join(some)}),
    ):
        page = visitor.open(site, path, bypass_csp=True)
        for name, value in fields.items():
            page.fill(f"#{name}", value)
        computed(page)
        again = visitor.open(site, page.url.removeprefix(site.url), bypass_csp=True)
        for one in (page, again):
            assert 0 == one.locator("[data-planted], iframe, object, base, style, template").count()
            assert one.evaluate("typeof window.ran") == "undefined"
