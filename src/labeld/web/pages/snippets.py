"""Input texts as literals of the code snippets in templates/snippets.html."""

import json
import re

from labeld.types import Text

INVISIBLE = re.compile(r"[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""Invisible characters that change how code looks or end a line of it. NOTE: as in model.js."""


def literal(text: Text) -> str:
    """A text or a pair as JSON, which is also a literal of Python and of JavaScript."""
    value = text.text if text.pair is None else {"text": text.text, "text_pair": text.pair}
    return INVISIBLE.sub(lambda one: f"\\u{ord(one[0]):04x}", json.dumps(value, ensure_ascii=False))


def in_shell(text: Text) -> str:
    """The literal of a text or a pair, escaped for the apostrophes of a shell."""
    return literal(text).replace("'", r"'\''")
