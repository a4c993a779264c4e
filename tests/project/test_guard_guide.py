"""docs/guides/guard.md: its policies are served, and its example prints what the page says."""

import re
from pathlib import Path

from tests.project.test_readme import ADDRESS, printed
from tests.support.client_packages import python_with
from tests.support.paths import ROOT
from tests.support.server_process import configured

PAGE = (ROOT / "docs/guides/guard.md").read_text()
POLICIES = re.compile(r"<!-- policies -->\n```yaml\n(.*?)```", re.DOTALL)
EXAMPLE = re.compile(r"<!-- guarded: moderation -->\n```python\n(.*?)```\nprints\n```\n(.*?)```", re.DOTALL)


def test_the_policy_of_the_guide(tmp_path: Path) -> None:
    """With openai's client."""
    ((policies,), ((code, output),)) = POLICIES.findall(PAGE), EXAMPLE.findall(PAGE)
    python = python_with("openai")
    with configured(tmp_path, policies) as server:
        assert output == printed([python, "-c", code.replace(ADDRESS, server.url)], tmp_path)
