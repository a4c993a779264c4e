"""The code to copy, taken from the page and run as printed, gives what the widget shows."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitor
from tests.support.server_process import Server, serving

TRICKY = "It's \"good\" \\n $HOME `id` ${x} %s {{x}} </script>\n\u202e\u2028 世界 é 👎🏽 '''"
MODELS = ["labeld/language-20", "b/same", "bare", "org/multi-label"]
"""With many labels, an ambiguous name, no organisation, and labels that are scored one by one."""
PAIR = {"text": TRICKY, "text_pair": 'Isn\'t "it"?'}
QUESTIONS = [*((model, {"text": TRICKY}) for model in MODELS), ("org/bert", PAIR), ("org/one-label", PAIR)]


@pytest.fixture(scope="module")
def site(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of every bundled model and stand-in."""
    folder = tmp_path_factory.mktemp("site")
    with serving(folder, "org/bert", "--models-dir", str(models_dir)) as running:
        yield running


NAMES = ["hub", "requests", "inference", "fetch", "curl"]
EXECUTE = """
import contextlib, io, json, sys
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "copied", "exec"), {"__name__": "__main__"})
    print(json.dumps(printed.getvalue()))
"""
"""Runs each program of a list as if it were alone: one interpreter imports its libraries once."""
IMPORT = """
const lines = [];
console.log = (...line) => lines.push(line.join(" "));
for (const path of process.argv.slice(2)) {
  lines.length = 0;
  await import(path);
  process.stdout.write(JSON.stringify(lines.join("\\n")) + "\\n");
}
"""
"""Runs each module, and prints what it has."""


def run(command: list[str], folder: Path, stdin: str = "") -> str:
    """What a command prints."""
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(folder)}
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def by_python(codes: list[str], folder: Path) -> list[str]:
    """What each program of Python prints."""
    printed = run([sys.executable, "-c", EXECUTE], folder, json.dumps(codes))
    return [json.loads(line) for line in printed.splitlines()]


def by_node(codes: list[str], folder: Path) -> list[str]:
    """What each module prints."""
    paths = [folder / f"copied-{number}.mjs" for number in range(len(codes))]
    for path, code in zip(paths, codes, strict=True):
        path.write_text(code, encoding="utf-8")
    (folder / "import.mjs").write_text(IMPORT)
    printed = run(["node", str(folder / "import.mjs"), *map(str, paths)], folder)
    return [json.loads(line) for line in printed.splitlines()]


def by_shell(codes: list[str], folder: Path) -> list[str]:
    """What each command prints."""
    return [run(["bash", "-c", code], folder) for code in codes]


RUNNERS = {"hub": by_python, "requests": by_python, "inference": by_node, "fetch": by_node, "curl": by_shell}


def ranking(name: str, printed: str) -> list[tuple[str, str]]:
    """Label and score of what a program prints."""
    if name == "curl":
        return [(one["label"], f"{one['score']:.3f}") for one in json.loads(printed)[0]]
    lines = (line.split(" ", 1) for line in printed.splitlines())
    return [(label, score) for score, label in lines]


def shown(page: Page) -> list[tuple[str, str]]:
    """Label and score of what the widget shows."""
    page.click("#compute")
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#compute")).to_have_text("Compute")
    rows = page.locator("#ranking li").all()
    return [(row.locator(".label").inner_text(), row.locator(".score").inner_text()) for row in rows]


def test_every_program_gives_the_widgets_result(site: Server, visitor: Visitor, inference_package: Path) -> None:
    """Python, JavaScript and cURL, before the model is loaded, with a text that every language would trip over."""
    pages = [
        visitor.open(site, f"/models/{model}?{urlencode(question)}", expected=(404, 503))
        for model, question in QUESTIONS
    ]
    codes: list[dict[str, str]] = [
        {code.get_attribute("id")[5:]: code.text_content() for code in page.locator("code[id]").all()} for page in pages
    ]
    assert [set(NAMES)] * len(pages) == [one.keys() for one in codes]
    printed = {}
    for runner in (by_python, by_node, by_shell):
        names = [name for name in NAMES if RUNNERS[name] is runner]
        wanted = [(name, number) for number in range(len(pages)) for name in names]
        with tempfile.TemporaryDirectory(dir=inference_package) as folder:
            outputs = runner([codes[number][name] for name, number in wanted], Path(folder))
        for (name, number), output in zip(wanted, outputs, strict=True):
            printed[name, number] = ranking(name, output)

    for number, page in enumerate(pages):
        widget = shown(page)
        assert widget
        assert dict.fromkeys(NAMES, widget) == {name: printed[name, number] for name in NAMES}, QUESTIONS[number]
