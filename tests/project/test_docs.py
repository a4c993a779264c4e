"""The documents say what is true. `python -m tests.project.test_docs` writes the generated ones anew.

They are docs/reference/settings.md and docs/reference/labeld.schema.json.
"""

import json
import re
from pathlib import Path
from textwrap import wrap

from typer.testing import CliRunner

from labeld.cli.main import cli
from labeld.config.names import every_setting, variable
from labeld.config.names import flag as flag_of
from labeld.config.schema import file_schema
from labeld.config.settings import Settings
from labeld.metrics.prometheus import Metrics
from labeld.protocol.options import BODY_OPTIONS
from labeld.protocol.parameters import PARAMETERS
from labeld.web.app import App
from labeld.web.hosting import AppHosting
from labeld.web.openapi import openapi
from labeld.web.openapi_fields import OPTIONS as DESCRIBED_OPTIONS
from labeld.web.openapi_fields import PARAMETERS as DESCRIBED

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    ROOT / "benchmarks/README.md",
    ROOT / "benchmarks/peers/README.md",
    ROOT / "deploy/README.md",
    ROOT / "training/README.md",
]
MAX_LINE = 120
BUILT = {ROOT / "docs/reference/command-line.md"}
"""Pages that only the site has."""


def settings_page() -> str:
    """docs/reference/settings.md as the settings themselves have it: a heading for each, so that it can be linked."""
    lines = [
        "# Settings",
        "",
        "A flag of `labeld serve` wins over the environment variable, that over the configuration file,",
        "and that over the default.",
        "Written by `python -m tests.project.test_docs` from `src/labeld/config/settings.py`.",
    ]
    group = None
    for its_group, one, _ in every_setting():
        if its_group is not group:
            group = its_group
            lines += ["", f"## {(group.__doc__ or '').rstrip('.')}"]
        flag = "arguments `MODEL …`" if one.name == "models" else f"flag `{flag_of(one.name)}`"
        ways = (
            [f"variable `{variable(one.name)}`"]
            if one.metadata["secret"]
            else [flag, f"variable `{variable(one.name)}`"]
        )
        default = " ".join(one.default) if isinstance(one.default, tuple) else one.default
        ways.append("no default" if default in {None, ""} else f"default `{default}`")
        said = ", ".join(ways)
        lines += ["", f"### {one.name}", f"{said[0].upper()}{said[1:]}.", "", *semantic_lines(one.metadata["help"])]
    return "\n".join(lines) + "\n"


def semantic_lines(text: str) -> list[str]:
    """One sentence a line, broken where it is too long for one; `*` stands for itself."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", text.replace("*", r"\*"))
    return [line for sentence in sentences for line in wrap(sentence, MAX_LINE, break_on_hyphens=False)]


def test_the_settings_page_is_what_the_settings_say() -> None:
    """Every setting with its flag, variable, default and meaning."""
    assert settings_page() == (ROOT / "docs/reference/settings.md").read_text()


def test_help_names_every_setting_and_its_variable() -> None:
    """`labeld serve --help` teaches all of them."""
    shown = CliRunner().invoke(cli, ["serve", "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output

    missing = [
        one.name
        for _, one, _ in every_setting()
        if one.name != "models"
        and not one.metadata["secret"]
        and not (f"--{one.name.replace('_', '-')}" in shown and variable(one.name) in shown)
    ]
    assert [] == missing


def test_help_shows_texts_as_they_are() -> None:
    """Names of extras are in brackets, which are no markup."""
    shown = CliRunner().invoke(cli, ["serve", "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output
    extras = {found for _, one, _ in every_setting() for found in re.findall(r"labeld\[[a-z]+\]", one.metadata["help"])}

    assert extras
    assert [] == [extra for extra in extras if extra not in shown]


def test_the_http_page_names_every_route() -> None:
    """With its path as it is routed, or the page of dialects does."""

    def never(_: object) -> None:
        raise AssertionError

    app = App(Settings(), AppHosting(never, never, Metrics()))  # type: ignore[arg-type]  # nothing is opened
    page = "".join((ROOT / "docs/reference" / name).read_text() for name in ("http-api.md", "dialects.md"))

    paths = {route.path.replace("{model_id:path}", "{id}").replace(":path}", "}") for route in app.routes}
    assert [] == sorted(path for path in paths if f"`{path}`" not in page)


def test_every_parameter_and_option_is_documented() -> None:
    """On the page of the HTTP API, and in /openapi.json."""
    page = (ROOT / "docs/reference/http-api.md").read_text()
    names = [*(f"parameters.{name}" for name in PARAMETERS), *(f"options.{name}" for name in BODY_OPTIONS)]

    assert [] == [name for name in names if f"| `{name}` |" not in page]
    assert (set(PARAMETERS), set(BODY_OPTIONS)) == (set(DESCRIBED), set(DESCRIBED_OPTIONS))


def test_the_description_names_every_route() -> None:
    """/openapi.json, and no route that is not there."""

    def never(_: object) -> None:
        raise AssertionError

    app = App(Settings(), AppHosting(never, never, Metrics()))  # type: ignore[arg-type]  # nothing is opened
    task = "text-classification"
    routed = {route.path.replace(":path}", "}").replace("{task}", task) for route in app.routes}

    people = {path for path in routed if path.startswith(("/static/", "/settings/", "/sign-"))}  # no API
    assert routed - {"/openapi.json"} - people == set(openapi(Settings().inputs)["paths"])


def test_the_page_of_metrics_names_every_one() -> None:
    """docs/reference/http-api.md has each family that a server counts or shows."""
    page = (ROOT / "docs/reference/http-api.md").read_text()
    sources = "".join(
        (ROOT / "src/labeld" / name).read_text()
        for name in ("metrics/prometheus.py", "metrics/top_labels.py", "web/monitoring/status.py")
    )

    assert [] == [name for name in re.findall(r'"(labeld_[a-z_]+)"', sources) if f"`{name}" not in page]


def test_the_map_of_the_code_is_complete() -> None:
    """The map in the internals has a line for every file and folder of the package, and no other."""
    page = (ROOT / "docs/internals/packages.md").read_text()
    listed = set(re.findall(r"^  ([a-z_]+(?:\.py|/)) ", page, re.MULTILINE))
    package = ROOT / "src/labeld"
    there = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert there == listed


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of every page is a file."""
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists() and (page.parent / target).resolve() not in BUILT
    ]

    assert [] == broken


def test_files_of_the_package_that_the_internals_name_exist() -> None:
    """A path with a folder in it is one of the package, or of the repository."""
    missing = [
        f"{page.name}: {name}"
        for page in (ROOT / "docs/internals").glob("*.md")
        if page.name != "contract.md"  # names files of the clients
        for name in re.findall(r"`([a-z_]+/[a-z_/0-9]*(?:\.py|\.json|\.html|/))`", page.read_text())
        if not (ROOT / "src/labeld" / name).exists() and not (ROOT / name).exists()
    ]

    assert [] == missing


def test_tests_that_the_internals_name_exist() -> None:
    """By the name of their function, in the file that stands before it."""
    page = (ROOT / "docs/internals/field-faults.md").read_text()
    missing, file = [], ""
    for path, name in re.findall(r"`(?:(tests/[a-z_/0-9]+\.py)|(test_[a-z_0-9]+))`", page):
        file = (ROOT / path).read_text() if path else file
        if name and f"def {name}(" not in file:
            missing.append(name)

    assert [] == missing


def test_prose_has_short_lines() -> None:
    """No line of text is over 120 characters; a row of a table or a link may be, because it cannot be broken."""
    long = []
    for page in PAGES:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            can_be_broken = not line.startswith(("|", "!["))
            if len(line) > MAX_LINE and can_be_broken:
                long.append(f"{page.relative_to(ROOT)}:{number}")

    assert [] == [place for place in long if not place.startswith(("CHANGELOG.md", "CONTRIBUTING.md"))]


if __name__ == "__main__":
    (ROOT / "docs/reference/settings.md").write_text(settings_page())
    (ROOT / "docs/reference/labeld.schema.json").write_text(f"{json.dumps(file_schema(), indent=2)}\n")
