"""Reports as HTML pages: what is in them, looked at by a browser, with texts that attack it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser

from labeld.errors import InvalidRequestError
from labeld.reports.output import require_free, write_text
from labeld.reports.page import Code, Page, Paragraph, Picture, Section, Table, render
from labeld.reports.pictures import SERIES, TEXT, draw
from tests.support.browser import findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOSTILE = (
    "<script>document.title = 'run'</script>",
    '"><img src=x onerror="document.title = \'run\'">',
    "</text></svg><script>document.title = 'run'</script>",
    "$\\frac{1}{0}$ &lt; ]]> --> \N{RIGHT-TO-LEFT OVERRIDE}abc",
    "日本語 العربية \ud800 \x00\x1b[31m",
    "word" * 200,
)


def _plot(figure: "Figure") -> None:
    axes = figure.subplots()
    for number, text in enumerate(HOSTILE[:5]):
        axes.plot([0, 1], [number, 1], color=SERIES[number], label=text.replace("\ud800", "").replace("\x00", "")[:30])
    axes.set_xlabel(HOSTILE[0], color=TEXT)
    axes.legend()


def hostile_page() -> str:
    """A page with attacks in each place that takes text."""
    rows = [(text, "0.9953") for text in HOSTILE]
    pictures = [Picture(draw(name, _plot), HOSTILE[1], HOSTILE[2]) for name in ("one", "two")]
    parts = (Paragraph(HOSTILE[0]), Paragraph(HOSTILE[1], warns=True), Code(HOSTILE[2]), *pictures)
    return render(
        Page(
            HOSTILE[0], HOSTILE[1], (Section(HOSTILE[2], (Table(HOSTILE[:2], rows, (1,), caption=HOSTILE[3]), *parts)),)
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_stands_alone_and_fits_a_phone(chromium: Browser, tmp_path: Path, scheme: str) -> None:
    """It asks for nothing, runs nothing, is no wider than the screen, and axe finds nothing serious in its colours."""
    (tmp_path / "page.html").write_text(hostile_page())
    page = chromium.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}).new_page()  # type: ignore[arg-type]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())

    assert HOSTILE[0] == page.title()
    assert [(tmp_path / "page.html").as_uri()] == asked
    assert 390 == page.evaluate("document.documentElement.scrollWidth")
    assert HOSTILE[0] == page.locator("td").first.inner_text()
    assert 0 == page.locator("script, img").count()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_can_be_read_by_everybody(chromium: Browser, tmp_path: Path, scheme: str) -> None:
    """axe-core finds nothing serious, in light and in dark."""
    page = chromium.new_context(color_scheme=scheme, bypass_csp=True).new_page()  # type: ignore[arg-type]  # axe is a script
    (tmp_path / "page.html").write_text(hostile_page())
    page.goto((tmp_path / "page.html").as_uri())

    assert [] == findings(page)
    page.close()


def test_pictures_of_a_page_share_no_name_and_have_the_colours_of_the_page() -> None:
    """An id counts for the whole page, and a colour that stays would be lost in the dark."""
    one, two = draw("one", _plot), draw("two", _plot)

    ids = [re.findall(r' id="([^"]+)"', text) for text in (one, two)]
    assert not set(ids[0]) & set(ids[1])
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', one)) <= set(ids[0])
    assert [] == re.findall(r"(?:fill|stroke): #\w+", one)
    assert one == draw("one", _plot)


def test_a_report_never_replaces_a_file_unasked(tmp_path: Path) -> None:
    """It says so before and while it writes, and names the flag; a folder or a missing one is a sentence too."""
    path = tmp_path / "report.html"
    write_text(path, "first", overwrite=False)

    for call in (lambda: require_free(path, overwrite=False), lambda: write_text(path, "x", overwrite=False)):
        with pytest.raises(InvalidRequestError, match=r"report\.html' is there already: .* --overwrite\.$"):
            call()
    with pytest.raises(InvalidRequestError, match="is a folder"):
        require_free(tmp_path, overwrite=True)
    with pytest.raises(InvalidRequestError, match="its folder is missing"):
        write_text(tmp_path / "none" / "report.html", "x", overwrite=True)
    assert "first" == path.read_text()

    write_text(path, "second", overwrite=True)
    assert "second" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_report_is_written_where_a_link_leads(tmp_path: Path) -> None:
    """The link stays; one that leads to no end is a sentence, as is a folder in which nothing can be made."""
    (tmp_path / "latest.html").symlink_to("first.html")
    (tmp_path / "round.html").symlink_to("round.html")
    write_text(tmp_path / "latest.html", "first", overwrite=False)

    assert "first" == (tmp_path / "first.html").read_text()
    with pytest.raises(InvalidRequestError, match=r"first\.html' is there already"):
        write_text(tmp_path / "latest.html", "second", overwrite=False)
    write_text(tmp_path / "latest.html", "second", overwrite=True)
    assert (True, "second") == ((tmp_path / "latest.html").is_symlink(), (tmp_path / "first.html").read_text())
    for name, sentence in ((tmp_path / "round.html", "leads to no end"), (Path("/proc/x.html"), "cannot be written")):
        with pytest.raises(InvalidRequestError, match=sentence):
            require_free(name, overwrite=True)
