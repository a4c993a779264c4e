"""Hypothesis templates of zero-shot classification, which `str.format` fills with a candidate label. Pure."""

from string import Formatter

MOST_PLACES, MOST_CHARACTERS = 10, 10_000
"""Of a template, at most: every label makes a text of it, which may be many times as long as the body."""
FORM = f"{{}} once, where the label goes, or {{0}} up to {MOST_PLACES} times, and other braces doubled"
"""What a template has, in words."""


def has_places(template: str) -> bool:
    """Whether it has a place for the label, `{}` or `{0}`, and nothing else of format strings.

    A width could ask for gigabytes, and an attribute of a string for what is no client's affair.
    """
    try:
        places = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:  # a brace without its other one
        return False
    return places == [("", "", None)] or (1 <= len(places) <= MOST_PLACES and {*places} == {("0", "", None)})
