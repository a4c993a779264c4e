"""Text of others in a line of ours: whatever could end the line, or move a terminal's cursor, is escaped."""


def printable(text: str) -> str:
    """The text, with control characters and the like escaped as in a Python string."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
