"""The code to copy, taken from the page and run as printed, gives what the widget shows."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

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


def run(name: str, code: str, inference_package: Path) -> list[tuple[str, str]]:
    """Label and score of what a program prints, run as it is printed on the page."""
    with tempfile.TemporaryDirectory(dir=inference_package) as folder:
        if name in {"hub", "requests"}:
            command = [sys.executable, "-c", code]
        elif name == "curl":
            command = ["bash", "-c", code]
        else:
            (Path(folder) / "copied.mjs").write_text(code, encoding="utf-8")
            command = ["node", str(Path(folder) / "copied.mjs")]
        environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": folder}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, f"{name}: {done.stderr}"
    if name == "curl":
        return [(one["label"], f"{one['score']:.3f}") for one in json.loads(done.stdout)[0]]
    lines = (line.split(" ", 1) for line in done.stdout.splitlines())
    return [(label, score) for score, label in lines]


@pytest.mark.parametrize(("model", "question"), QUESTIONS)
def test_every_program_gives_the_widgets_result(
    site: Server, visitor: Visitor, inference_package: Path, model: str, question: dict[str, str]
) -> None:
    """Python, JavaScript and cURL, before the model is loaded, with a text that every language would trip over."""
    query = urlencode(question)
    page = visitor.open(site, f"/models/{model}?{query}", expected=(404, 503))
    codes = {code.get_attribute("id")[5:]: code.text_content() for code in page.locator("code[id]").all()}
    assert {"hub", "requests", "inference", "fetch", "curl"} == set(codes)
    with ThreadPoolExecutor(len(codes)) as threads:
        printed = dict(zip(codes, threads.map(lambda item: run(*item, inference_package), codes.items()), strict=True))
    page.click("#compute")
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#compute")).to_have_text("Compute")
    rows = page.locator("#ranking li").all()
    shown = [(row.locator(".label").inner_text(), row.locator(".score").inner_text()) for row in rows]

    assert shown
    assert dict.fromkeys(codes, shown) == printed
