"""Imports between the modules of a package, read from its source."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


def modules(root: Path) -> dict[str, Path]:
    """Files of every module under a package but the root itself, by dotted names that leave the root's out."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            found[name] = path
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """For each module, those of the same package that it imports: at its top, inside a function, or for typing."""
    found = modules(root)
    return {name: _imported_by(path, f"{root.name}.") & set(found) - {name} for name, path in found.items()}


def cycle(root: Path) -> list[str]:
    """One cycle of imports in a package; empty when there is none."""
    try:
        TopologicalSorter(imports(root)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _imported_by(path: Path, prefix: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
