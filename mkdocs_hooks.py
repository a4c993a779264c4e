"""Pages of the docs site that do not lie in docs/: those of other folders, and the command line's, which is generated.

A link in Markdown leads to the same file on the site as in the repository: what lies outside docs/ has its path from
the repository's root, and `../` beyond docs/ is taken off.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "benchmarks/peers/README.md", "training/README.md")
DATA = ("benchmarks/results/*.svg", "benchmarks/results/*.png", "benchmarks/results/*.jsonl", "benchmarks/peers/*.sh")
ELSEWHERE = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and the data of other folders, and the page of the command line."""
    elsewhere = [*PAGES, *(str(path.relative_to(ROOT)) for pattern in DATA for path in sorted(ROOT.glob(pattern)))]
    for name in elsewhere:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    files.append(File.generated(config, "reference/command-line.md", content=command_line()))
    return files


def on_page_markdown(markdown: str, /, *, page: Page, **_: Any) -> str:
    """Leads links across the border of docs/ to where the site has the file."""
    source = page.file.src_uri
    inside = source not in PAGES

    def led(match: re.Match[str]) -> str:
        target = match[1]
        folder = (ROOT / "docs" if inside else ROOT) / source
        path = (folder.parent / target).resolve()
        if not path.is_relative_to(ROOT):
            return target
        docs = ROOT / "docs"
        site = path.relative_to(docs if path.is_relative_to(docs) else ROOT).as_posix()
        return "../" * source.count("/") + site

    return LINK.sub(led, markdown)


def on_post_page(output: str, /, *, page: Page, **_: Any) -> str:
    """Fails the build for a page that would load anything from another host."""
    if found := ELSEWHERE.search(output):
        raise PluginError(f"{page.file.src_uri} loads {found[0]}: the site must load nothing from other hosts")
    return output


def command_line() -> str:
    """The help of every command, as typer writes it in Markdown."""
    command = [sys.executable, "-m", "typer", "labeld.cli.main", "utils", "docs", "--name", "labeld"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # no input
    return text.replace("# `labeld`", "# Command line", 1)
