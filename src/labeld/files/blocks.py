"""The bytes of csv and tsv files, as arrow takes them: in blocks with whole rows, and always UTF-8."""

import codecs
import re
from collections import deque
from io import BufferedReader

from labeld.files.streams import LONGEST_ROW

BLOCK = 1 << 20
"""Bytes of a block, but for longer rows."""

READ_FIRST = 3
"""Such blocks that are read before arrow asks for any: it opens a file without hearing of Ctrl-C while it waits."""

MARK = "\ufdd0"
"""Stands, with two hex digits behind it, for a byte that is not UTF-8. Unicode keeps it from ever being a character."""
_MARKED = re.compile(MARK.encode() + rb"([0-9a-f]{2})")
_MARKS = {0xDC00 + byte: f"{MARK}{byte:02x}" for byte in range(0x80, 0x100)}
"""By the surrogates that Python's `surrogateescape` has for such bytes."""

_CELL = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)"|[^"\t\r\n]*)(?:(\t)|\r?\n|\r|\Z)')
_END = re.compile(rb'[^"]*(?:""[^"]*)*("|\Z)')
_OPEN = re.compile(rb'"([^"]*(?:""[^"]*)*)"?\Z')


class Blocks(BufferedReader):
    """A stream in blocks that each have the end of a row, and that knows the last byte other than of a line's end.

    NOTE: Arrow reads 32 blocks ahead, which are half a gigabyte if each is as long as the longest row may be. It takes
    a row with too many or too few fields for UTF-8: bytes that are not are marked, and found again by `restored`.
    """

    def __init__(self, stream: BufferedReader, delimiter: str, *, may_be_unquoted: bool = False) -> None:
        super().__init__(stream)
        # a quote within a field is text: 5'11" tall
        self._fields = re.compile(rb'(?<![^%b\r\n])"' % delimiter.encode() + _END.pattern)
        self.last_byte = b""
        self.is_ended = False
        """Whether nobody wants the rest."""
        self.has_marks = False
        """Whether a byte was not UTF-8 so far."""
        self._rest = b""
        self._is_quoted = False
        self._waiting = deque(self._piece() for _ in range(READ_FIRST))
        head, *more = self._waiting
        if head and not any(more) and not _has_newline(head, 0, len(head)):
            self._waiting[0] += b"\n"  # NOTE: arrow takes a header without rows and without it for an empty file
        self.quotes = not may_be_unquoted or has_quotes(self._waiting[0])
        """Whether fields may be in quotes."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes, and no more than `size`, which is the longest row; equal files have equal blocks."""
        if self.is_ended:
            return b""
        block = piece = self._next()
        while piece and not self._ends_a_row(piece):
            piece = self._next()
            if len(block) + len(piece) > (size or LONGEST_ROW):
                self._waiting.appendleft(piece)
                break
            block += piece
        self.last_byte = block[-4:].rstrip(b"\r\n")[-1:] or self.last_byte
        return block

    def _next(self) -> bytes:
        return self._waiting.popleft() if self._waiting else self._piece()

    def _piece(self) -> bytes:
        """The next bytes, of which none is cut that is one of several of a character; empty at the end."""
        while True:
            read = super().read(BLOCK)
            data, is_last = self._rest + read, not read
            try:
                _, taken = codecs.utf_8_decode(data, "strict", is_last)
                piece = data[:taken]
            except UnicodeDecodeError:
                self.has_marks = True
                text, taken = codecs.utf_8_decode(data, "surrogateescape", is_last)
                piece = text.translate(_MARKS).encode()
            self._rest = data[taken:]
            if piece or is_last:
                return piece

    def _ends_a_row(self, piece: bytes) -> bool:
        """Whether the piece, which follows the one before, has a newline that is not in quotes."""
        found, position = False, 0
        if self._is_quoted and (end := _END.match(piece)):
            position, self._is_quoted = end.end(), not end[1]
        for quoted in self._fields.finditer(piece, position) if self.quotes else ():
            found = found or _has_newline(piece, position, quoted.start())
            position, self._is_quoted = quoted.end(), not quoted[1]
        return found or _has_newline(piece, position, len(piece))


def _has_newline(piece: bytes, start: int, end: int) -> bool:
    return piece.find(b"\n", start, end) >= 0 or piece.find(b"\r", start, end) >= 0


def restored(value: bytes) -> bytes:
    """The bytes of a file in which those that are not UTF-8 were marked."""
    return _MARKED.sub(lambda found: bytes.fromhex(found[1].decode()), value)


def has_quotes(beginning: bytes) -> bool:
    """Whether a tsv file has csv's quotes, by its beginning: then each cell with a quote is quoted as csv has it.

    One that only begins with a quote, or has one within, shows that quotes are text; so does one that would have a
    newline and a tab, which is a row that an open quote would swallow.
    """
    data = beginning.removeprefix(codecs.BOM_UTF8)
    if b'"' not in data:
        return False
    is_whole, position, found, several = len(beginning) < BLOCK - 4, 0, False, False  # 4: of a character that is cut
    while position < len(data):
        cell = _CELL.match(data, position)
        if cell is None:
            # the last cell of a beginning that ends within it says nothing
            cut = None if is_whole else _OPEN.match(data, position)
            return cut is not None and found and not _swallows(cut[1], several=several)
        several |= cell[2] is not None
        if cell[1] is not None:
            if _swallows(cell[1], several=several):
                return False
            found = True
        position = cell.end()
    return found


def _swallows(cell: bytes, *, several: bool) -> bool:
    """Whether a cell in quotes would have whole rows; `several` says that rows have more than one cell."""
    return b"\n" in cell and (not several or b"\t" in cell)
