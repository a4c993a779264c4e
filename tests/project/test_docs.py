"""The documents say what is true. `python -m tests.project.test_docs` writes docs/settings.md anew."""

import re
from pathlib import Path

from typer.testing import CliRunner

from labeld.cli.main import cli
from labeld.config.load import every_setting, variable
from labeld.config.settings import Settings
from labeld.metrics.prometheus import Metrics
from labeld.web.app import App
from labeld.web.openapi import openapi

ROOT = Path(__file__).parents[2]


def settings_page() -> str:
    """docs/settings.md as the settings themselves have it."""
    lines = [
        "# Settings",
        "",
        "A flag of `labeld serve` wins over the environment variable, and that over the default. Written by",
        "`python -m tests.project.test_docs` from `src/labeld/config/settings.py`.",
    ]
    group = None
    for its_group, one, _ in every_setting():
        if its_group is not group:
            group = its_group
            lines += ["", f"## {group.__doc__}", "", "| flag | variable | default | |", "|---|---|--:|---|"]
        flag = "`MODEL …`" if one.name == "models" else f"`--{one.name.replace('_', '-')}`"
        flag = "" if one.metadata["secret"] else flag
        default = " ".join(one.default) if isinstance(one.default, tuple) else one.default
        lines.append(f"| {flag} | `{variable(one.name)}` | {default} | {one.metadata['help']} |")
    return "\n".join(lines) + "\n"


def test_the_settings_page_is_what_the_settings_say() -> None:
    """Every setting with its flag, variable, default and meaning."""
    assert settings_page() == (ROOT / "docs/settings.md").read_text()


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


def test_the_http_page_names_every_route() -> None:
    """With its path as it is routed."""

    def never(_: object) -> None:
        raise AssertionError

    app = App(Settings(), never, never, never, Metrics())  # type: ignore[arg-type]  # nothing is opened or called
    page = (ROOT / "docs/http-api.md").read_text()

    paths = {route.path.replace("{model_id:path}", "{id}") for route in app.routes}
    assert [] == sorted(path for path in paths if f"`{path}`" not in page)


def test_the_description_names_every_route() -> None:
    """/openapi.json, and no route that is not there."""

    def never(_: object) -> None:
        raise AssertionError

    app = App(Settings(), never, never, never, Metrics())  # type: ignore[arg-type]  # nothing is opened or called
    task = "text-classification"
    routed = {route.path.replace(":path}", "}").replace("{task}", task) for route in app.routes}

    people = {path for path in routed if path.startswith(("/static/", "/settings/", "/sign-"))}  # no API
    assert routed - {"/openapi.json"} - people == set(openapi(Settings().inputs)["paths"])


def test_the_page_of_metrics_names_every_one() -> None:
    """docs/http-api.md has each family that a server counts or shows."""
    page = (ROOT / "docs/http-api.md").read_text()
    sources = "".join(
        (ROOT / "src/labeld" / name).read_text() for name in ("metrics/prometheus.py", "web/monitoring/status.py")
    )

    assert [] == [name for name in re.findall(r'"(labeld_[a-z_]+)"', sources) if f"`{name}" not in page]


def test_the_map_of_the_code_is_complete() -> None:
    """The README's map has a line for every file and folder of the package, and no other."""
    readme = (ROOT / "README.md").read_text()
    listed = set(re.findall(r"^  ([a-z_]+(?:\.py|/)) ", readme, re.MULTILINE))
    package = ROOT / "src/labeld"
    there = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert there == listed


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of every page is a file."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md", ROOT / "training/README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert [] == broken


if __name__ == "__main__":
    (ROOT / "docs/settings.md").write_text(settings_page())
