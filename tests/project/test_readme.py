"""The README's examples, run as printed against a real server, print what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server_process import LABELD, Server, serving

README = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n+```\w+\n(.*?)```\n+prints\n+```\n(.*?)```", re.DOTALL)
EXAMPLES = {name: (code, output) for name, code, output in EXAMPLE.findall(README)}
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def default_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as the README starts it, but for the port."""
    with serving(tmp_path_factory.mktemp("readme")) as running:
        yield running


def printed(command: list[str], folder: Path) -> str:
    """The output of a command that must succeed."""
    environment = {**os.environ, "PATH": f"{Path(LABELD).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["curl", "python", pytest.param("javascript", marks=pytest.mark.node), "classify"])
def test_an_example_prints_what_the_readme_says(
    default_server: Server, tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    """To the letter, but for the port and the last digits of a score, which are the processor's."""
    code, output = EXAMPLES[name]
    code = code.replace(ADDRESS, default_server.url).replace(".venv/bin/labeld", "labeld")
    if name == "javascript":
        folder: Path = request.getfixturevalue("inference_package")
        (folder / "readme.mjs").write_text(code)
        actual = printed(["node", "readme.mjs"], folder)
    elif name == "python":
        actual = printed([sys.executable, "-c", code], tmp_path)
    else:
        actual = printed(["bash", "-c", code], tmp_path)

    shortened = [re.sub(r"(\.\d{5})\d+", r"\1", text).strip() for text in (output, actual)]
    assert shortened[0] == shortened[1]
