"""Untrusted text within a line of output: characters that end the line or control a terminal are escaped."""


def printable(text: str) -> str:
    """The text with its unprintable characters escaped as in a Python string."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
