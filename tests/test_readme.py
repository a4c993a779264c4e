"""The README's examples, run as printed against a real server, print what it says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ServerProcess

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n+```\w+\n(.*?)```\n```\n(.*?)```", re.DOTALL)
EXAMPLES = {name: (code, output) for name, code, output in EXAMPLE.findall((ROOT / "README.md").read_text())}
