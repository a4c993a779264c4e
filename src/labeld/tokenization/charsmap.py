"""A sentencepiece model's character map: which strings its normalizer replaces, the longest first.

The map is a double-array trie over UTF-8 bytes, then the replacements, each ended by NUL (sentencepiece's normalizer.cc
and its darts.h). The `tokenizers` library reads the same map one grapheme at a time and misses some of it, such as
decomposed Hangul and kana, or half-width kana with a voice mark; this reader gives what sentencepiece gives.
"""

import struct
from functools import lru_cache

import numpy as np

CACHED_STEPS = 65_536
"""Steps in the trie that are cached; a text has few different ones."""

LONGEST_MATCH = 64
"""Characters of a replaced string, at most; the longest of NFKC has 18. A hostile trie may go in circles."""

LONGEST_REPLACEMENT = 256
"""UTF-8 bytes of a replacement, at most; the longest of NFKC has 33."""

NOWHERE = -1


class CharacterMap:
    """Replaces every longest match of the map in a text. Thread-safe: only a cache changes."""

    def __init__(self, blob: bytes) -> None:
        """Takes `precompiled_charsmap` as the file has it; raises ValueError when it is not one."""
        if len(blob) < 8:
            raise ValueError("shorter than its header")
        (size,) = struct.unpack_from("<I", blob)
        if size % 4 or not 4 <= size <= len(blob) - 4:
            raise ValueError("the trie does not fit")
        self._units: list[int] = np.frombuffer(blob, "<u4", size // 4, 4).tolist()
        self._replacements = blob[4 + size :]
        ends = np.flatnonzero(np.frombuffer(self._replacements, np.uint8) == 0)
        if not self._replacements.endswith(b"\0") or np.diff(ends, prepend=-1).max() > LONGEST_REPLACEMENT:
            raise ValueError("a replacement does not end")
        self._root = _offset(self._units[0])
        self._step = lru_cache(CACHED_STEPS)(self._walk)

    def __call__(self, text: str) -> str:
        """The text after all replacements."""
        parts: list[str] = []
        step, root, at, length = self._step, self._root, 0, len(text)
        while at < length:
            node, found = step(root, text[at])
            end = after = at + 1
            limit = min(length, at + LONGEST_MATCH)
            while node != NOWHERE and after < limit:
                node, longer = step(node, text[after])
                after += 1
                if longer is not None:
                    found, end = longer, after
            parts.append(text[at:end] if found is None else found)
            at = end
        return "".join(parts)

    def _walk(self, node: int, character: str) -> tuple[int, str | None]:
        """The node that a character leads to, and the replacement of the string that ends there."""
        unit, units = 0, self._units
        for byte in character.encode(errors="surrogatepass"):
            node ^= byte
            if node >= len(units):
                return NOWHERE, None
            unit = units[node]
            if unit & 0x8000_00FF != byte:
                return NOWHERE, None
            node ^= _offset(unit)
        if not unit & 0x100:  # no string ends here
            return node, None
        return node, self._replacement(units[node] & 0x7FFF_FFFF) if node < len(units) else None

    def _replacement(self, start: int) -> str:
        return self._replacements[start : self._replacements.find(b"\0", start)].decode(errors="replace")


def _offset(unit: int) -> int:
    """The offset between a node's index and its children's."""
    return (unit >> 10) << ((unit & 0x200) >> 6)
