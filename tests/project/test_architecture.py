"""Imports point one way: from the command line down to plain data, and never in a circle."""

from tests.support.imports import cycle, imports, modules
from tests.support.paths import PACKAGE, ROOT

TIERS = (  # a package imports only from the tiers below its own
    "__main__",
    "cli ray ray_serve",
    "distillation",
    "distillation",
    "comparison evaluation",
    "tables files",
    "web classifier",
    "frames",
    "service",
    "lifecycle",
    "autotune scheduler",
    "engines repository tokenization",
    "checkpoint protocol server",
    "error_reply",
    "auth cache config scoring reports",
    "system",
    "metrics",
    "model_id errors templates types",
    "interface literals",
)
TIER = {name: tier for tier, names in enumerate(reversed(TIERS)) for name in names.split()}
MAX_LINES = 300
BENCHMARKS = ROOT / "benchmarks"
RELIABILITY = ROOT / "reliability"


def package(name: str) -> str:
    """The package, or the module beside the packages, that a module belongs to."""
    return name.partition(".")[0]


def test_every_package_has_a_tier() -> None:
    """A new package is given its place in TIERS."""
    assert set(TIER) == {package(name) for name in modules(PACKAGE)}


def test_packages_import_downwards() -> None:
    """No package imports from another one of its own tier or of a tier above it."""
    upwards = [
        f"{name} imports {target}"
        for name, targets in imports(PACKAGE).items()
        for target in targets
        if package(target) != package(name) and TIER[package(target)] >= TIER[package(name)]
    ]

    assert [] == sorted(upwards)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Between modules there is no cycle, imports inside functions included."""
    assert [] == cycle(PACKAGE)


def test_benchmarks_import_one_way() -> None:
    """In benchmarks, suites and comparison import from lib, never from each other, and there is no cycle."""
    allowed = {"__main__": {"suites", "comparison", "lib"}, "suites": {"lib"}, "comparison": {"lib"}, "lib": set()}
    wrong = [
        f"{name} imports {target}"
        for name, targets in imports(BENCHMARKS).items()
        for target in targets
        if package(name) in allowed and package(target) not in {package(name), *allowed[package(name)]}
    ]

    assert [] == sorted(wrong)
    assert [] == cycle(BENCHMARKS)


def test_reliability_imports_one_way() -> None:
    """In reliability, checks import from lib and never from each other, faults from nobody, and there is no cycle."""
    allowed = {"__main__": {"checks", "faults", "lib"}, "checks": {"lib"}, "lib": set(), "faults": set()}
    wrong = [
        f"{name} imports {target}"
        for name, targets in imports(RELIABILITY).items()
        for target in targets
        if package(target) not in {package(name), *allowed[package(name)]}
    ]

    assert [] == sorted(wrong)
    assert [] == cycle(RELIABILITY)
    assert [] == [
        name
        for name, targets in imports(RELIABILITY).items()
        for target in targets
        if name.startswith("checks.") and target.startswith("checks.")
    ]


def test_only_config_reads_the_environment() -> None:
    """No module outside config reads an environment variable."""
    readers = [
        name
        for name, path in modules(PACKAGE).items()
        if package(name) != "config"
        and any(word in path.read_text() for word in ("getenv", "environ.get", "in os.environ"))
    ]

    assert [] == readers


def test_files_stay_small() -> None:
    """A file of more than 300 lines has a second reason to change."""
    assert [] == [name for name, path in modules(PACKAGE).items() if len(path.read_text().splitlines()) > MAX_LINES]
