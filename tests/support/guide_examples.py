"""The examples of docs/guides/batch.md, which need packages that the other guides do not."""

import re

from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guides/batch.md").read_text()
EXAMPLE = re.compile(r"<!-- (\w+): (\w+) -->\n```python\n(.*?)```(?:\nprints\n```\n(.*?)```)?", re.DOTALL)


def examples(kind: str) -> dict[str, tuple[str, str]]:
    """Code and output of the examples of one kind, by name, in the order of the page."""
    return {name: (code, output) for its_kind, name, code, output in EXAMPLE.findall(PAGE) if its_kind == kind}
