"""The guide's examples of data frames print what the page says."""

import subprocess
import sys

import pytest

from tests.support.guide_examples import examples
from tests.support.tools import package

package("pandas"), package("polars")
EXAMPLES = examples("tables")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_the_page_says(name: str) -> None:
    """To the letter, and not a word more."""
    code, output = EXAMPLES[name]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (output.strip(), "") == (ran.stdout.strip(), ran.stderr)
