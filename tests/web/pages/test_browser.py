"""The pages in a real browser: the widget by mouse and keyboard, the address, errors, loading, access, weight."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from transformers import BertConfig, BertForSequenceClassification

from tests.support import tiny_models
from tests.support.browser import PHONE, Visitor, findings, weights
from tests.support.payloads import PAYLOADS
from tests.support.server_process import Server, serving

PATHS = ["/", "/models", "/models/org/bert", "/models/ProsusAI/finbert", "/docs/text-classification", "/models/no/such"]
OBSERVE = """
new MutationObserver(() => {
  const loading = document.getElementById("loading");
  if (loading && !loading.hidden) window.sawLoading = loading.innerText;
}).observe(document, { subtree: true, attributes: true });
"""
"""Notes that the progress bar was there, however short."""


@pytest.fixture(scope="module")
def site(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the small models that caches its answers."""
    arguments = ("org/bert", "labeld/language-20", "--models-dir", str(models_dir))
    with serving(tmp_path_factory.mktemp("site"), *arguments) as running:
        yield running


def ranking(page: Page) -> list[tuple[str, str]]:
    """Label and score of each bar that the widget shows."""
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#compute")).to_have_text("Compute")
    rows = page.locator("#ranking li").all()
    return [(row.locator(".label").inner_text(), row.locator(".score").inner_text()) for row in rows]


def expected(server: Server, inputs: object, model: str = "org/bert") -> list[tuple[str, str]]:
    """The bars as the server answers a program."""
    return [(one["label"], f"{one['score']:.3f}") for one in server.classify(inputs, model)[0]]


def test_compute_with_the_mouse(site: Server, visitor: Visitor) -> None:
    """Bars in the order of the reply, three decimals, the time; the second time it is cached; the JSON on demand."""
    page = visitor.open(site, "/models/org/bert")
    page.fill("#text", "  the film was not good  ")
    page.click("#compute")
    shown = ranking(page)
    timing = page.inner_text("#timing")
    page.click("#compute")
    expect(page.locator("#timing")).to_have_text("cached")
    page.click("#raw-button")

    assert expected(site, "the film was not good") == shown
    assert re.fullmatch(r"Computation time on cpu: \d+\.\d{3} s", timing)
    assert site.classify("the film was not good") == json.loads(page.inner_text("#raw"))
    assert "true" == page.get_attribute("#raw-button", "aria-expanded")
    page.click("#raw-button")
    expect(page.locator("#raw")).to_be_hidden()


def test_bars_are_as_long_as_their_scores(site: Server, visitor: Visitor) -> None:
    """Of their track, for scores that are probabilities."""
    page = visitor.open(site, "/models/labeld/language-20?text=Guten+Morgen")
    shown = ranking(page)
    widths = page.evaluate("[...document.querySelectorAll('.bar')].map((bar) => parseFloat(bar.style.width) / 100)")

    assert 20 == len(shown)
    assert [float(score) for _, score in shown] == pytest.approx(widths, abs=5.1e-4)


@pytest.mark.parametrize("keys", ["Control+Enter", "Meta+Enter"])
def test_compute_with_the_keyboard(site: Server, visitor: Visitor, keys: str) -> None:
    """From the address bar by Tab alone to the text, and Ctrl or Cmd with Enter."""
    page = visitor.open(site, "/models/org/bert")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "text":
            break
    page.keyboard.press("Control+a")
    page.keyboard.type("i love the day")
    page.keyboard.press(keys)

    assert expected(site, "i love the day") == ranking(page)
    assert "positive" in page.inner_text("#spoken") or "negative" in page.inner_text("#spoken")


def test_everything_can_be_reached_with_the_keyboard(site: Server, visitor: Visitor) -> None:
    """The skip link first; then each link, field, button and tab is focused by Tab or, in a group, by an arrow."""
    page = visitor.open(site, "/models/org/bert")
    page.keyboard.press("Tab")
    assert "Skip to the content" == page.evaluate("document.activeElement.innerText")
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
    assert {"text", "compute", "client-hub"} <= seen
    page.focus("#client-hub")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-requests")).to_be_visible()
    expect(page.locator("#tab-hub")).to_be_hidden()


def test_a_pair(site: Server, visitor: Visitor) -> None:
    """The second text is folded away until it is wanted, and open where the labels or the address say pair."""
    page = visitor.open(site, "/models/org/bert")
    expect(page.locator("#pair")).to_be_hidden()
    page.click("summary")
    page.fill("#text", "the film was good")
    page.fill("#pair", "I love it")
    page.click("#compute")
    pair = {"text": "the film was good", "text_pair": "I love it"}

    assert expected(site, pair) == ranking(page)
    assert page.url.endswith("?text=the+film+was+good&text_pair=I+love+it")
    again = visitor.open(site, page.url.removeprefix(site.url))
    expect(again.locator("#pair")).to_have_value("I love it")
    assert expected(site, pair) == ranking(again)
    expect(visitor.open(site, "/models/org/one-label").locator("#pair")).to_be_visible()


def test_an_example_is_computed(site: Server, visitor: Visitor) -> None:
    """Those of the model's card; a click fills the text and runs it."""
    page = visitor.open(site, "/models/labeld/language-20")
    page.click("text=Ça va très bien, merci.")

    assert expected(site, "Ça va très bien, merci.", "labeld/language-20") == ranking(page)
    expect(page.locator("#text")).to_have_value("Ça va très bien, merci.")


def test_the_address_has_the_text(site: Server, visitor: Visitor) -> None:
    """It is read and, if the model is loaded, answered; it is updated by a run; a long text stays out of it."""
    text = 'a "b" & <c> 世界 +%'
    page = visitor.open(site, "/models/org/bert")
    page.fill("#text", text)
    page.click("#compute")
    shown = ranking(page)
    again = visitor.open(site, page.url.removeprefix(site.url))

    expect(again.locator("#text")).to_have_value(text)
    assert expected(site, text) == shown == ranking(again)
    page.fill("#text", "x" * 5000)
    page.click("#compute")
    expect(page).to_have_url(f"{site.url}/models/org/bert")


def test_an_address_loads_no_model(site: Server, visitor: Visitor) -> None:
    """A link with a text fills the widget and says nothing, as long as the model is not loaded."""
    page = visitor.open(site, "/models/b/same?text=good", expected=(404,))
    page.wait_for_load_state("networkidle")

    expect(page.locator("#text")).to_have_value("good")
    expect(page.locator("#error")).to_be_hidden()
    assert "here" == site.get("/models/b/same").json()["state"]


def test_empty_text(site: Server, visitor: Visitor) -> None:
    """Nothing is sent, and the sentence is in place."""
    page = visitor.open(site, "/models/org/bert")
    page.wait_for_load_state("networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.fill("#text", "  \n ")
    page.click("#compute")

    expect(page.locator("#error")).to_have_text("You need to input some text")
    assert "text" == page.evaluate("document.activeElement.id")
    assert [] == asked


def test_errors_are_in_place(site: Server, visitor: Visitor) -> None:
    """The server's sentence, and then a good answer in its place."""
    page = visitor.open(site, "/models/org/bert", expected=(400,))
    page.fill("#text", "good " * 400)
    page.check("#windows")
    page.fill("#stride", "500")
    page.click("#compute")
    expect(page.locator("#error")).to_contain_text("stride")
    expect(page.locator("#result")).to_be_hidden()
    page.uncheck("#windows")
    page.fill("#text", "good")
    page.keyboard.press("Control+Enter")

    assert expected(site, "good") == ranking(page)
    expect(page.locator("#error")).to_be_hidden()


def test_a_server_that_is_gone(models_dir: Path, tmp_path: Path, visitor: Visitor) -> None:
    """Says so in place."""
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir)) as server:
        page = visitor.open(server, "/models/org/bert")
        server.stop()
        page.click("#compute")
        expect(page.locator("#error")).to_have_text("The server could not be reached, or its answer was cut off.")
    visitor.complaints = [one for one in visitor.complaints if "ERR_CONNECTION_REFUSED" not in one]


def test_a_model_that_loads(models_dir: Path, tmp_path: Path, visitor: Visitor) -> None:
    """A bar while it does, then the answer: a 503 with an estimate is asked again, to wait."""
    with serving(tmp_path, "org/bert", "--models-dir", str(models_dir), "--load-grace", "0") as server:
        page = visitor.open(server, "/models/org/distilbert", expected=(503,))
        page.evaluate(OBSERVE)
        page.fill("#text", "the film was good")
        page.click("#compute")

        assert expected(server, "the film was good", "org/distilbert") == ranking(page)
        assert "Model is loading" == page.evaluate("window.sawLoading")
        expect(page.locator("#loading")).to_be_hidden()


def test_the_code_follows_the_text(site: Server, visitor: Visitor) -> None:
    """Each program has what the widget has, as the server itself would have written it; copied as a whole."""
    text = 'It\'s "good" \\ $HOME `id` \u202e\u2028 </script> 世界 👎🏽'
    page = visitor.open(site, "/models/org/bert", permissions=["clipboard-read", "clipboard-write"])
    page.fill("#text", text)
    codes = {code.get_attribute("id"): code.text_content() for code in page.locator("code[id]").all()}
    page.click("#compute")
    ranking(page)
    again = visitor.open(site, page.url.removeprefix(site.url), java_script_enabled=False)

    assert codes == {code.get_attribute("id"): code.text_content() for code in again.locator("code[id]").all()}
    page.click("label[for=client-curl]")
    page.click("#tab-curl .copy")
    expect(page.locator("#tab-curl .copy")).to_have_text("Copied")
    assert codes["code-curl"] == page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_light_and_accessible(site: Server, visitor: Visitor, path: str) -> None:
    """Axe finds nothing serious, light or dark; nothing is wider than a phone; the weight is little."""
    # no colours between two
    page = visitor.open(site, "/static/icon.svg", expected=(404,), reduced_motion="reduce")
    assert_light(page, site.url + path)
    assert [] == findings(page)
    page.emulate_media(color_scheme="dark")
    assert [] == findings(page, "color-contrast")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def assert_light(page: Page, url: str) -> None:
    """Less than 100 KB in all, and at most 10 requests."""
    sizes = weights(page, url)

    assert 3 <= len(sizes) <= 10
    assert sum(sizes) < 100_000


def test_an_answered_page_is_light(site: Server, visitor: Visitor) -> None:
    """As is one that has nothing to answer."""
    page = visitor.open(site, "/static/icon.svg")
    assert_light(page, f"{site.url}/models/labeld/language-20?text=hello")


def test_a_widget_in_use_is_accessible(site: Server, visitor: Visitor) -> None:
    """With a ranking, windows, the JSON, an error and the field for an access token on it, also on a phone."""
    page = visitor.open(site, "/models/labeld/language-20?text=hello", expected=(400,), reduced_motion="reduce")
    ranking(page)
    page.click("#raw-button")
    page.evaluate("document.getElementById('token-field').hidden = false")
    page.fill("#text", "good " * 700)
    page.click("#compute")
    expect(page.locator("#spans")).to_be_visible()
    assert [] == findings(page)
    page.emulate_media(color_scheme="dark")
    assert [] == findings(page, "color-contrast")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.fill("#stride", "5000")
    page.click("#compute")
    expect(page.locator("#error")).to_be_visible()
    assert [] == findings(page)


@pytest.mark.parametrize("path", PATHS)
def test_pages_work_without_scripts(site: Server, visitor: Visitor, path: str) -> None:
    """All but the widget, which says so; tabs and filters work."""
    page = visitor.open(site, path, expected=(404,), java_script_enabled=False)

    assert page.locator("h1").inner_text()
    if path == "/models/org/bert":
        assert "Trying a model here needs scripts" in page.content()
        page.click("label[for=client-curl]")
        expect(page.locator("#tab-curl")).to_be_visible()
        expect(page.locator("#tab-hub")).to_be_hidden()
    if path == "/models":
        page.fill("#search", "same")
        page.select_option("#state", "here")
        page.click("text=Show")
        assert ["a/same", "b/same"] == page.locator("tbody th a").all_inner_texts()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of five models whose labels, architecture and card are 500 payloads; none hides another's."""
    root = tmp_path_factory.mktemp("planted")
    for number in range(5):
        payloads = PAYLOADS[number * 100 : number * 100 + 100]
        folder = root / f"models/planted/model-{number}"
        config = BertConfig(**tiny_models.BERT, id2label=dict(enumerate(payloads)))
        tiny_models.save(BertForSequenceClassification, config, folder)
        stored = json.loads((folder / "config.json").read_text())
        stored["architectures"] = [f"{payloads[0]}ForSequenceClassification"]
        (folder / "config.json").write_text(json.dumps(stored))
        card = {"language": payloads, "widget": [{"text": one, "text_pair": one} for one in payloads]}
        (folder / "README.md").write_text(f"---\n{json.dumps(card)}\n---\n")
    (root / "models/planted/broken").mkdir()
    broken = {"model_type": PAYLOADS[0], "architectures": [PAYLOADS[1]]}
    (root / "models/planted/broken/config.json").write_text(json.dumps(broken))
    with serving(root, "--models-dir", str(root / "models")) as running:
        yield running


TYPE = """(texts) => {
  for (const text of texts) {
    for (const field of document.querySelectorAll("#text, #pair")) {
      field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}"""
"""Puts each text into both fields, as `fill` does one, without a way to the browser and back for each."""


def assert_nothing_planted(page: Page) -> None:
    """No payload has become an element or an attribute, and none has run."""
    assert 0 == page.locator("[data-planted], iframe, object, base, style, template").count()
    assert page.evaluate("typeof window.ran") == "undefined"


@pytest.mark.parametrize("number", range(5))
def test_no_planted_label_runs(planted: Server, visitor: Visitor, number: int) -> None:
    """Labels, architecture, examples and texts that are payloads, on the page, in the ranking and the JSON."""
    # NOTE: the browser ignores the page's policy: escaping alone must do
    payloads = PAYLOADS[number * 100 : number * 100 + 100]
    page = visitor.open(planted, f"/models/planted/model-{number}", bypass_csp=True)
    labels = page.locator(".labels .tag").all_inner_texts()
    assert 100 == len(labels)
    page.click("[data-text]")
    shown = ranking(page)
    page.click("#raw-button")

    assert 50 == len(shown)
    assert {one["label"] for one in json.loads(page.inner_text("#raw"))[0]} == set(payloads)
    assert_nothing_planted(page)
    page.evaluate(TYPE, payloads)
    page.fill("#text", payloads[0])
    page.fill("#pair", "")
    page.keyboard.press("Control+Enter")
    ranking(page)
    assert_nothing_planted(page)


def test_nothing_planted_runs_in_the_lists(planted: Server, visitor: Visitor) -> None:
    """Nor in the catalogue, nor in the sentence that says what is wrong with a model."""
    for path in ("/models", "/models?search=planted", "/models/planted/broken", "/"):
        assert_nothing_planted(visitor.open(planted, path, bypass_csp=True))
