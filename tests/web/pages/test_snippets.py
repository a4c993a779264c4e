"""The code to copy, taken from the page and run as printed, gives what the widget shows."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitor
from tests.support.client_packages import python_with
from tests.support.server_process import Server, configured

TRICKY = "It's \"good\" \\n $HOME `id` ${x} %s {{x}} </script>\n\u202e\u2028 世界 é 👎🏽 '''"
MODELS = ["labeld/language-20", "b/same", "bare", "org/multi-label"]
"""With many labels, an ambiguous name, no organisation, and labels that are scored one by one."""
PAIR = {"text": TRICKY, "text_pair": 'Isn\'t "it"?'}
LONG = "\N{GRINNING FACE} the market fell and the day was bad " * 30
RANKING = {"task": "text-ranking", "query": TRICKY, "documents": f"{TRICKY}\ni love it"}
ZERO_SHOT = {"task": "zero-shot-classification", "text": TRICKY, "labels": f"{TRICKY}, b", "multi_label": "true"}
POLICY = {"text": "I hate you, you are awful, terrible, disgusting and worthless. " * 4 + TRICKY}
QUESTIONS = {
    "classification": [
        *((f"models/{model}", {"text": TRICKY}) for model in MODELS),
        *((f"models/{model}", PAIR) for model in ("org/bert", "org/one-label")),
        ("models/org/bert", {"text": LONG, "stride": "4", "max_length": "40", "aggregate": "mean"}),
    ],
    "ranking": [("models/org/one-label", RANKING), ("models/org/nli", RANKING)],
    "zero_shot": [("models/org/nli", ZERO_SHOT)],
    "guard": [("policies/default", POLICY)],
}
"""Paths of pages, and the parameters of their addresses, by the task."""
FILE = """\
policies:
  default: {models: {labeld/sentiment-en: {threshold: {NEGATIVE: 0.02}, categories: {NEGATIVE: harassment}}}}
"""


@pytest.fixture(scope="module")
def site(dialect_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of every bundled model and stand-in, with a policy."""
    folder = tmp_path_factory.mktemp("site")
    arguments = ("org/bert", "--models-dir", str(dialect_models))
    with configured(folder, FILE, *arguments) as running:
        yield running


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


def by_python(codes: list[str], folder: Path, python: str = sys.executable) -> list[str]:
    """What each program of Python prints."""
    printed = run([python, "-c", EXECUTE], folder, json.dumps(codes))
    return [json.loads(line) for line in printed.removesuffix("\n").split("\n")]


def by_node(codes: list[str], folder: Path) -> list[str]:
    """What each module prints."""
    paths = [folder / f"copied-{number}.mjs" for number in range(len(codes))]
    for path, code in zip(paths, codes, strict=True):
        path.write_text(code, encoding="utf-8")
    (folder / "import.mjs").write_text(IMPORT)
    printed = run(["node", str(folder / "import.mjs"), *map(str, paths)], folder)
    return [json.loads(line) for line in printed.removesuffix("\n").split("\n")]


def by_shell(codes: list[str], folder: Path) -> list[str]:
    """What each command prints."""
    return [run(["bash", "-c", code], folder) for code in codes]


RUNNERS = {"hub": by_python, "requests": by_python, "inference": by_node, "fetch": by_node}
"""Of programs; all others are commands of a shell, which print JSON."""
OTHERS = {"cohere", "openai"}
"""Clients whose packages the other tests do not need."""
Bars = list[tuple[str, str]]
READERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("classification", "curl"): lambda reply: reply[0]["labels"] if isinstance(reply[0], dict) else reply[0],
    ("classification", "tei"): lambda reply: reply[0],
    ("classification", "vllm"): lambda reply: reply["data"][0]["probs"],
    ("classification", "tensors"): lambda reply: reply["outputs"][1]["data"],
    ("ranking", "curl"): lambda reply: [(one["index"], one["relevance_score"]) for one in reply["results"]],
    ("ranking", "hosted"): lambda reply: [(one["index"], one["score"]) for one in reply],
    ("ranking", "tei"): lambda reply: [(one["index"], one["score"]) for one in reply],
    ("ranking", "vllm"): lambda reply: [one["score"] for one in reply["data"]],
    ("zero_shot", "curl"): lambda reply: reply,
    ("zero_shot", "jina"): lambda reply: reply["data"][0]["predictions"],
    ("guard", "moderation"): lambda reply: flagged(reply["results"][0]),
    ("guard", "detector"): lambda reply: [(one["detection_type"], one["score"]) for one in reply[0]],
    ("guard", "litellm"): lambda reply: [tuple(reply["blocked_reason"].split(": ")[1].split(" ")[:2])],
}
"""Rankings, pairs or plain scores from the JSON of each dialect, by task and tab."""


def flagged(result: Any) -> list[tuple[str, float]]:
    """The flagged categories of a moderation with their scores."""
    return [(name, result["category_scores"][name]) for name, is_flagged in result["categories"].items() if is_flagged]


def read(task: str, name: str, printed: str, documents: list[str]) -> Any:
    """Label, or document, and score of what a program prints; the scores alone, best first, of what has no labels."""
    if (task, name) not in READERS:
        lines = (line.split(" ", 1) for line in printed.removesuffix("\n").split("\n"))
        return [(label, score) for score, label in lines]
    found = READERS[task, name](json.loads(printed))
    if isinstance(found[0], float):
        return sorted((f"{score:.3f}" for score in found), reverse=True)
    if isinstance(found[0], dict):
        found = [(one["label"], one["score"]) for one in found]
    named = [(documents[one] if isinstance(one, int) else one, score) for one, score in found]
    return [(one, score if isinstance(score, str) else f"{score:.3f}") for one, score in named]


def shown(page: Page) -> Bars:
    """Label and score of what the widget shows; then, of windows, characters with the label, and score."""
    page.click("#compute")
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#compute")).to_have_text("Compute")
    rows = page.evaluate(
        """() => [...document.querySelectorAll("#ranking li")].map((row) =>
            [row.querySelector(".label").textContent, row.querySelector(".score").textContent])"""
    )
    return [(label, score) for label, score in rows]


def windows(page: Page) -> list[str]:
    """The table of windows, as programs print them."""
    rows: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll("#span-rows tr")].map((row) =>
            [...row.querySelectorAll("td")].map((cell) => cell.textContent))"""
    )
    return [f"{characters}: {score} {label}" for characters, label, score in rows]


def codes_of(page: Page) -> dict[str, str]:
    """The programs of a page for the kind of request that it asks, by tab."""
    found = page.locator(".program:not([hidden]) code").all()
    return {str(code.get_attribute("id"))[5:].removesuffix("-windows"): code.text_content() or "" for code in found}


def test_every_program_gives_the_widgets_result(site: Server, visitor: Visitor, inference_package: Path) -> None:
    """Python, JavaScript and cURL, before the model is loaded, with a text that every language would trip over."""
    asked = [(task, path, question) for task, pages in QUESTIONS.items() for path, question in pages]
    pages = [visitor.open(site, f"/{path}?{urlencode(one)}", expected=(400, 404, 503)) for _, path, one in asked]
    codes = [codes_of(page) for page in pages]
    printed: dict[tuple[str, int], str] = {}
    for runner in (by_python, by_node, by_shell):
        wanted = [
            (name, number)
            for number, its_codes in enumerate(codes)
            for name in its_codes
            if name not in OTHERS and RUNNERS.get(name, by_shell) is runner
        ]
        with tempfile.TemporaryDirectory(dir=inference_package) as folder:
            outputs = runner([codes[number][name] for name, number in wanted], Path(folder))
        printed |= dict(zip(wanted, outputs, strict=True))

    for number, ((task, _, question), page) in enumerate(zip(asked, pages, strict=True)):
        widget = shown(page)
        assert widget
        documents = page.input_value("#documents").split("\n") if task == "ranking" else []
        for name in codes[number].keys() - OTHERS:
            output = printed[name, number]
            if "stride" in question and name in {"requests", "fetch"}:
                lines = output.removesuffix("\n").split("\n")
                assert windows(page) == lines[len(widget) :]
                output = "\n".join(lines[: len(widget)])
            if name == "vllm" and "text_pair" in question:
                continue  # which asks for the first text alone, as the page says
            got = read(task, name, output, [one.strip() for one in documents])
            assert got in (widget, [score for _, score in widget]), (task, name, question)


@pytest.mark.parametrize(("package", "task"), [("cohere", "ranking"), ("openai", "guard")])
def test_a_client_of_another_server_gives_the_widgets_result(
    site: Server, visitor: Visitor, tmp_path: Path, package: str, task: str
) -> None:
    """The packages of Cohere and OpenAI."""
    python = python_with(package)
    path, question = QUESTIONS[task][0]
    page = visitor.open(site, f"/{path}?{urlencode(question)}", expected=(404, 503))
    (printed,) = by_python([codes_of(page)[package]], tmp_path, python)

    assert shown(page) == read(task, package, printed, [])
