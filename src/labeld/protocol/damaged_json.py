"""Whether a body that is no JSON was meant as JSON: a part of it was lost, or something stands around it. Pure.

Prose with quotes, colons and brackets is told from it by what follows each of them. All patterns are possessive where
they repeat, so hostile text takes linear time too.
"""

import re

from labeld.protocol.options import BODY_OPTIONS
from labeld.protocol.parameters import PARAMETERS

ENVELOPE = ("inputs", "parameters", "options")
KNOWN = frozenset({*ENVELOPE, *PARAMETERS, *BODY_OPTIONS, "text", "text_pair"})
"""Names that mean something in a request."""

_STRING = r"""(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|'[^'\\]*+(?:\\.[^'\\]*+)*+'|“[^”]*+”)"""
"""A string of JSON, of JavaScript or Python, or of a word processor."""
_KEY = rf"(?:{_STRING}|[A-Za-z_$][\w$]*+)"
_SCALAR = rf"(?:{_STRING}|-?\.?\d[\w.+-]*+|-?Infinity|NaN|true|false|null|True|False|None|undefined)"
_VALUE = r"""(?=\s*+[\w"'“\[{.-])"""
_TOKENS = rf"""(?P<tokens>(?:
    \s++
  | [\[{{](?!\s*+[,:])
  | {_KEY}\s*+:{_VALUE}
  | {_SCALAR}(?=\s*+[,\]}}])
  | [\]}}](?=\s*+(?:[,;\]}}]|\Z))
  | ,(?!\s*+[,:])
  | ;(?=\s*+\Z)
)*+)"""
"""JSON from any place between two values on, each token by what may follow it."""
_RESTS = [
    re.compile(beginning + _TOKENS, re.VERBOSE | re.DOTALL)
    for beginning in (
        # between two values, or at a colon or comma; all of `:8]` may be a face
        r"""\s*+(?:[:,](?=\s*+["'“\[{]|\s++[\w.-]|[\w.-]++[\]},]\s*+[\]},]))?+""",
        # inside a string; `:"]` is a face
        rf"""[^"\\]*+(?:\\.[^"\\]*+)*+(?:"\s*+[:,]{_VALUE}|"(?=\s*+,)|(?<![:;=])"(?=\s*+[\]}}]))""",
        # inside a string in single quotes, which after a letter may be an apostrophe
        rf"""[^'\\]*+(?:\\.[^'\\]*+)*+'\s*+[:,]{_VALUE}""",
    )
]
_ALL_STRINGS = re.compile(_STRING, re.DOTALL)

_QUOTE = r"""\\*["'“”\u2018\u2019]"""
"""A quote, also an escaped one, or one of a word processor."""
_NAMES = f"(?:{'|'.join(ENVELOPE)})"
_ENVELOPE_KEY = rf"(?:{_QUOTE})?{_NAMES}(?:{_QUOTE})?\s*+:"
_BEGINNING = re.compile(
    rf"""\s*+(?:
        (?:{_QUOTE})?{_NAMES}{_QUOTE}\s*+:
      | inputs\s*+:\s*+["'“\[{{]
      | {_QUOTE}(?:{"|".join(KNOWN)}){_QUOTE}\s*+:\s*+(?:["'“\[{{]|-?\d|(?:true|false|null|True|False|None)\b)
      | [bru]?["'`]\s*+\{{\s*+{_ENVELOPE_KEY}
      | --[^\r\n]{{1,200}}+\r?\n(?i:content-disposition):
    )""",
    re.VERBOSE,
)
"""The first key of a request without its brace; a quoted request, as a shell or `str(bytes)` leaves it; a multipart."""
_ASSIGNED = re.compile(
    rf"""\s*+(?:```\w*+|(?:[\w$.]{{1,40}}\s++)?[\w$.]{{1,40}}\s*+[:=]|-d|--data)\s*+["'`]?\{{\s*+{_ENVELOPE_KEY}""",
    re.VERBOSE,
)
"""The beginning of a request in a line of code, in Markdown or of an event stream."""
_ASSIGNED_END = re.compile(r"""\}[\s"'`;)]*+\Z""")
_LAST_CHARACTERS = 40


def is_damaged_json(text: str) -> bool:
    """True for a text that reads as the rest of JSON, or as a request with something around it."""
    if _BEGINNING.match(text):
        return True
    end = text[-_LAST_CHARACTERS:].rstrip().rstrip(";,").rstrip()[-1:]
    if end in {"]", "}"} and any(_closes_more(rest.fullmatch(text)) for rest in _RESTS):
        return True
    return _ASSIGNED.match(text) is not None and _ASSIGNED_END.search(text[-_LAST_CHARACTERS:]) is not None


def _closes_more(rest: "re.Match[str] | None") -> bool:
    """True where more brackets are closed than opened, so that one was lost."""
    if rest is None:
        return False
    bare = _ALL_STRINGS.sub("", rest["tokens"])
    return bare.count("]") + bare.count("}") > bare.count("[") + bare.count("{")
