"""The examples of the docs, run as printed against a real server, print what the pages say."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.test_readme import ADDRESS, printed
from tests.support.paths import ROOT
from tests.support.server_process import Server, serving

EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n+```(sh|python)\n(.*?)```\n+prints\n+```\n(.*?)```", re.DOTALL)
EXAMPLES = {
    f"{page.stem} {name}": (language, code, output)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    for name, language, code, output in EXAMPLE.findall(page.read_text())
    if page.name != "README.md" or name == "classifier"  # the others are run by test_readme
}


@pytest.fixture(scope="module")
def default_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as the pages start it, but for the port."""
    with serving(tmp_path_factory.mktemp("guides")) as running:
        yield running


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_the_page_says(default_server: Server, tmp_path: Path, name: str) -> None:
    """To the letter, but for the port and the last digits of a score, which are the processor's."""
    language, code, output = EXAMPLES[name]
    code = code.replace(ADDRESS, default_server.url)
    actual = printed([sys.executable if language == "python" else "bash", "-c", code], tmp_path)

    shortened = [re.sub(r"(\.\d{5})\d+", r"\1", text).strip() for text in (output, actual)]
    assert shortened[0] == shortened[1]
