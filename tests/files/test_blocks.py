"""Blocks of csv files are as small as their rows allow."""

import io

import pytest

from labeld.files.blocks import BLOCK, Blocks
from labeld.files.streams import LONGEST_ROW


def blocks(content: bytes) -> list[bytes]:
    """Those of a csv file."""
    stream = Blocks(io.BufferedReader(io.BytesIO(content)), ",")
    return list(iter(lambda: stream.read(LONGEST_ROW), b""))


@pytest.mark.parametrize("beginning", [b"id,text\n", b'id,text\n1,"5\'11"" tall"\n', b"id,text\n1,5'11\" tall\n"])
def test_a_quote_within_a_field_makes_no_blocks_longer(beginning: bytes) -> None:
    """It is text, as arrow reads it; memory is a multiple of a block."""
    content = beginning + b'2,"quoted"\n3,plain\n' * 200_000
    found = blocks(content)

    assert content == b"".join(found)
    assert max(map(len, found)) <= BLOCK


def test_a_long_row_is_in_one_block() -> None:
    """Whatever newlines and doubled quotes it has, and the next rows are in small ones again."""
    long = b'1,"' + b'a line\nof ""it""\n' * 200_000 + b'"\n'
    content = b"id,text\n" + b"0,a\n" * 300_000 + long + b"2,b\n" * 900_000
    found = blocks(content)

    assert content == b"".join(found)
    assert len(long) - BLOCK < max(map(len, found)) < len(long) + 2 * BLOCK
    assert len(found) > 3
