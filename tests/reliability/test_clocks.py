"""What reads the wall clock, which an operator or the network may set, and what only reads the monotonic one."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import PACKAGE

READERS = {
    "auth/authenticator.py": "an access token's end, and its last use",
    "auth/store.py": "when access tokens are made and end",
    "cli/tokens.py": "ends that are asked for as a duration, and the state of an access token",
    "comparison/peer.py": "a Retry-After that is a date, of which no more is waited than the comparison may take",
    "lifecycle/load_marks.py": "a pause that outlives the process: one that began in the future begins anew",
    "web/inference.py": "the time in a reply of the OpenAI dialect",
    "web/monitoring/tracing.py": "when a span ended",
    "web/monitoring/workers.py": "a name that no earlier process of the same id had",
    "web/pages/model_view.py": "when a model was last used, for people",
    "web/pages/rendering.py": "how long ago something was, for people",
    "web/pages/tokens.py": "ends that are asked for as a duration, and the state of an access token",
    "web/security/sessions.py": "a session's age, which is none where it is in the future",
}
"""Modules of labeld that read the wall clock, and for what; everything else goes by the monotonic one."""

WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
"""Functions that read it."""
WAITING = (
    "sleep",
    "wait",
    "wait_for",
    "timeout",
    "timeout_at",
    "call_later",
    "call_at",
    "select",
    "join",
    "settimeout",
)
"""Names of what waits for a time that it is given."""


def read_in(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Where the wall clock is read, or handed to somebody who will read it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (owner, node.attr) in WALL:
                yield node


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Each module of labeld."""
    for path in Path(PACKAGE).rglob("*.py"):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def test_who_reads_the_wall_clock_is_known() -> None:
    """A module that begins to must say here for what, and what a jump of years does to it."""
    assert set(READERS) == {name for name, tree in trees() if any(read_in(tree))}


def test_nothing_waits_by_the_wall_clock() -> None:
    """No call that waits is handed it, so that a clock that is set stops or rushes nothing.

    What is kept in a variable first does not show here, but its module is in the list above.
    """
    found = defaultdict(list)
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                given = [*node.args, *(one.value for one in node.keywords)]
                if called in WAITING and any(any(read_in(one)) for one in given):
                    found[name].append(node.lineno)

    assert {} == dict(found)
