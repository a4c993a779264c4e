"""Parts of JSON schema for values whose text counts, whatever the YAML of an editor makes of it."""

from collections.abc import Iterable

ANY_SCALAR = ("string", "number", "boolean")
"""Types of a text: a label may be called 1 or true."""
NUMERIC = r"^\s*[+-]?[0-9._eE+-]+\s*$"
"""What may be a number where it is quoted; whether it is one labeld says."""
ZERO_OR_ONE = {"minimum": 0, "maximum": 1}


def any_case(words: Iterable[str]) -> str:
    """A pattern for these words in any case."""
    return f"^({'|'.join(''.join(f'[{c.upper()}{c}]' if c.isalpha() else c for c in word) for word in words)})$"
