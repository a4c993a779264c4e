"""Imports point one way: from the command line down to plain data, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.support.paths import PACKAGE

TIERS = (  # a package imports only from the tiers below its own
    "__main__",
    "cli",
    "web classifier",
    "service",
    "lifecycle",
    "autotune scheduler",
    "engines repository tokenization",
    "checkpoint protocol server",
    "auth cache config system scoring",
    "metrics model_id errors types",
)
TIER = {name: tier for tier, names in enumerate(reversed(TIERS)) for name in names.split()}
ROOT_MODULE = "__init__"
"""The public API, which imports what others may use of it."""
MAX_LINES = 300


def modules() -> dict[str, Path]:
    """Dotted name of every module under `labeld`, except the root itself; a package has the name of its folder."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != ROOT_MODULE)
        if name:
            found[name] = path
    return found


def imported_by(path: Path) -> set[str]:
    """Modules of labeld that a file imports anywhere: at its top, inside a function, or for typing."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("labeld.") for name in names if name.startswith("labeld.")} & set(modules())


def package(name: str) -> str:
    """The package, or the module beside the packages, that a module belongs to."""
    return name.partition(".")[0]


def test_every_package_has_a_tier() -> None:
    """A new package is given its place in TIERS."""
    assert set(TIER) == {package(name) for name in modules()}


def test_packages_import_downwards() -> None:
    """No package imports from another one of its own tier or of a tier above it."""
    upwards = [
        f"{name} imports {target}"
        for name, path in modules().items()
        for target in imported_by(path)
        if package(target) != package(name) and TIER[package(target)] >= TIER[package(name)]
    ]

    assert [] == sorted(upwards)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Between modules there is no cycle, imports inside functions included."""
    imports = {name: imported_by(path) - {name} for name, path in modules().items()}
    try:
        TopologicalSorter(imports).prepare()
        cycle = []
    except CycleError as error:
        cycle = error.args[1]

    assert [] == cycle


def test_only_config_reads_the_environment() -> None:
    """No module outside config reads an environment variable."""
    readers = [
        name
        for name, path in modules().items()
        if package(name) != "config"
        and any(word in path.read_text() for word in ("getenv", "environ.get", "in os.environ"))
    ]

    assert [] == readers


def test_files_stay_small() -> None:
    """A file of more than 300 lines has a second reason to change."""
    assert [] == [name for name, path in modules().items() if len(path.read_text().splitlines()) > MAX_LINES]
