"""Where things lie in this repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
TESTS = ROOT / "tests"
PACKAGE = ROOT / "src" / "labeld"
SHARED = ROOT.parent / "shared" / "data"
"""Data sets that the project may read and does not have: tests that need them are skipped without."""
BUNDLED_IDS = sorted(f"labeld/{folder.name}" for folder in (PACKAGE / "bundled/labeld").iterdir())
"""Ids of the models that come with labeld."""
