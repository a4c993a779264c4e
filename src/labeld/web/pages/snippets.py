"""Values as literals of the code to copy (templates/code_*.html)."""

import json
import re
from typing import Any, Literal

Quoting = Literal["json", "python", "shell"]
"""Where a literal stands: in JSON or JavaScript, in Python, or in JSON between the apostrophes of a shell."""

INVISIBLE = re.compile(r"[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""Invisible characters that change how code looks or end a line of it. NOTE: as in widget.js."""


def literal(value: Any, quoting: Quoting) -> str:
    """A text, number, boolean, list or object as JSON, which but for booleans is also a literal of Python."""
    if isinstance(value, dict):
        members = [f"{literal(name, quoting)}: {literal(one, quoting)}" for name, one in value.items()]
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join([literal(one, quoting) for one in value])}]"
    if isinstance(value, bool) and quoting == "python":
        return str(value)
    written = INVISIBLE.sub(lambda one: f"\\u{ord(one[0]):04x}", json.dumps(value, ensure_ascii=False))
    return written.replace("'", r"'\''") if quoting == "shell" else written
