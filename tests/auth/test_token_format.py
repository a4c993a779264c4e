"""Access tokens as text."""

import re
import zlib
from collections import Counter

import pytest

from labeld.auth.token_format import DIGITS, new_token, well_formed

TOKENS = 20_000


@pytest.fixture(scope="module")
def tokens() -> list[str]:
    """Many of them."""
    return [new_token() for _ in range(TOKENS)]


def test_a_token_looks_as_clients_expect(tokens: list[str]) -> None:
    """hf_ and 34 characters of base 62, the last six of which are the CRC-32 of the rest."""
    assert all(re.fullmatch(r"hf_[0-9A-Za-z]{34}", token) and well_formed(token) for token in tokens)
    for token in tokens[:100]:
        number = 0
        for character in token[-6:]:
            number = number * 62 + DIGITS.index(character)
        assert number == zlib.crc32(token[:-6].encode())


def test_no_token_comes_twice(tokens: list[str]) -> None:
    """166 random bits."""
    assert len(set(tokens)) == TOKENS


def test_every_character_is_as_likely_at_every_place(tokens: list[str]) -> None:
    """Chi-square with 61 degrees of freedom stays below what chance exceeds once in ten million, at all 28 places."""
    for place in range(3, 31):
        counts = Counter(token[place] for token in tokens)
        mean = TOKENS / 62
        chi_square = sum((counts[digit] - mean) ** 2 / mean for digit in DIGITS)
        assert chi_square < 135


@pytest.mark.parametrize("change", range(3, 37))
def test_one_wrong_character_is_noticed(change: int) -> None:
    """Wherever it is."""
    token = new_token()
    other = DIGITS[(DIGITS.index(token[change]) + 1) % 62]

    assert not well_formed(token[:change] + other + token[change + 1 :])


GARBAGE = ["", "hf_", "hf_***", "a" * 37, "hf_" + "a" * 10_000, "HF_" + "0" * 34]
GARBAGE += ["hf_" + one * 34 for one in ("a", "0", "é", "\ud800", "٣", "\0", " ")]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_no_token(text: str) -> None:
    """Empty, short, long, of other letters, of none."""
    assert not well_formed(text)


def test_a_token_with_something_around_it_is_none() -> None:
    """Not even a newline."""
    token = new_token()

    assert not any(map(well_formed, (f"{token}\n", f" {token}", f"{token}x", token[3:], token.upper(), token[:-1])))
