"""A request's texts -> token ids and types, as transformers' pipeline gives them to the model."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from tokenizers import Encoding, Tokenizer

from labeld.literals import Side, TruncationStrategy
from labeld.tokenization.errors import (
    EmptyTextError,
    MaxLengthTooSmallError,
    PairNotSupportedError,
    TextTooLongError,
    TextTooManyCharactersError,
    TokenizerFailedError,
    TruncationFailedError,
    UnknownTokenIdError,
)
from labeld.tokenization.guard import failures_as
from labeld.tokenization.windows import WindowReader
from labeld.types import EncodedInput, EncodedText, Parameters, Text

CHARACTERS_PER_TOKEN = 250
"""A text of more characters per token the model takes is not tokenised: a tokenizer's time grows with them."""

WORDS_AT_A_CUT = 2
"""Words before a cut through a text whose tokens the cut may change: the last one, and one that looks ahead."""
PARTS_PER_PAIR = 1.5
"""Different texts for each pair, at most, where each is tokenised once: with more, tokenising pairs is faster."""
CHARACTERS_AT_A_CUT = 64
"""Characters before a cut whose normalisation it may change, beside those of the longest added token."""


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """Tokenises texts for one model. Thread-safe: nothing in it changes."""

    tokenizer: Tokenizer
    max_tokens: int
    """Tokens of a text, special tokens included."""
    max_characters: int
    """Characters of a text, unless it is to be truncated; then it is tokenised until enough tokens are certain."""
    truncation_side: Side = "right"
    token_types: bool = True
    """True when the model gets the tokenizer's token types; else they are all 0."""
    cut_at: int | None = None
    """Tokens to keep where a request asks for truncation without a length; None = `max_tokens`."""
    vocabulary: int = sys.maxsize
    """Number of the model's word embeddings; token ids must be below it."""
    type_count: int = sys.maxsize
    """Number of the model's token type embeddings; token types must be below it."""
    max_windows: int = sys.maxsize
    """Windows of all texts of a request, at most."""

    def encode(
        self, texts: Sequence[Text], parameters: Parameters, positions: Sequence[int] | None = None
    ) -> list[EncodedText]:
        """Token ids of each text, of one that is read in windows those of the first; see `read`."""
        return [one.windows[0] for one in self.read(texts, parameters, positions)]

    def read(
        self, texts: Sequence[Text], parameters: Parameters, positions: Sequence[int] | None = None
    ) -> list[EncodedInput]:
        """Each text as the model reads it; `positions` in the request are named by errors, by default from 0 on.

        A text that several pairs have in common is tokenised once. Raises the failures of tokenization/errors.py.
        """
        positions = positions or range(len(texts))
        numbered = list(zip(positions, texts, strict=True))
        keep = min(parameters.max_length or self.cut_at or self.max_tokens, self.max_tokens)
        if parameters.stride is not None:
            side = parameters.truncation_side or self.truncation_side
            windows = WindowReader(self.tokenizer, keep, parameters, side, self.max_windows)
            return [windows.read(index, text, partial(self._encoded, index)) for index, text in numbered]
        if parameters.truncation is not None:
            known: dict[str, Encoding] = {}
            return [self._truncated(index, text, parameters, keep, known) for index, text in numbered]
        for index, text in numbered:
            longest = max(len(text.text), len(text.pair or ""))
            if longest > self.max_characters:
                raise TextTooManyCharactersError(index, longest, self.max_characters)
        encodings = self._whole(texts)
        for index, encoding in zip(positions, encodings, strict=True):
            if len(encoding) > self.max_tokens:
                raise TextTooLongError(index, len(encoding), self.max_tokens)
        return [
            EncodedInput((self._encoded(index, encoding),))
            for index, encoding in zip(positions, encodings, strict=True)
        ]

    def _whole(self, texts: Sequence[Text]) -> list[Encoding]:
        """The tokens of each text with special tokens."""
        parts = list(dict.fromkeys(part for text in texts for part in text if part is not None))
        with failures_as(TokenizerFailedError):
            if any(text.pair is None for text in texts) or len(parts) > PARTS_PER_PAIR * len(texts):
                return self.tokenizer.encode_batch_fast(
                    [text.text if text.pair is None else (text.text, text.pair) for text in texts]
                )
            encoded = self.tokenizer.encode_batch_fast(parts, add_special_tokens=False)
            by_part = dict(zip(parts, encoded, strict=True))
            return [
                self.tokenizer.post_process(by_part[text], by_part[pair]) for text, pair in texts if pair is not None
            ]

    def _truncated(
        self, index: int, text: Text, parameters: Parameters, keep: int, known: dict[str, Encoding]
    ) -> EncodedInput:
        """The text cut to `keep` tokens, special tokens included, as transformers' fast tokenizers cut it.

        `known` has the tokens of pairs' first texts that were tokenised before, and gets this one's.
        """
        assert parameters.truncation is not None
        room = keep - self.tokenizer.num_special_tokens_to_add(text.pair is not None)
        if room < 0:
            raise MaxLengthTooSmallError(keep, keep - room)
        side = parameters.truncation_side or self.truncation_side
        if text.pair is None:
            parts = [self._tokens(text.text, room, side)]
        else:
            first = known.get(text.text)
            if first is None:
                first = known[text.text] = self._without_special_tokens(text.text)
            parts = [first, self._without_special_tokens(text.pair)]
        whole_lengths = [len(part) for part in parts]
        if text.pair is not None and parameters.max_pair_tokens:
            whole_lengths[1] = min(whole_lengths[1], parameters.max_pair_tokens)
        lengths = _shortened(whole_lengths, parameters.truncation, room)
        cut = 0
        with failures_as(TokenizerFailedError):
            for number, (part, length, whole) in enumerate(zip(parts, lengths, text, strict=False)):
                if length < len(part):
                    kept = parts[number] = Encoding.merge([part], growing_offsets=False)  # others have `part` as well
                    kept.truncate(length, direction=side)
                    cut += _characters_cut(kept, len(whole or ""), side)
            encoding = self.tokenizer.post_process(parts[0], parts[1] if len(parts) == 2 else None)
        return EncodedInput((self._encoded(index, encoding),), cut_characters=cut)

    def _tokens(self, text: str, first: int, side: Side) -> Encoding:
        """The tokens of a text, or those of a beginning that is long enough for its `first` tokens to be certain.

        From the other side, or without `first`, all of the text is tokenised: words are found from the left.
        """
        size = self.max_characters
        while first and size < len(text) and side == "right":
            encoding = self._without_special_tokens(text[:size])
            if self._certain(encoding, first, size):
                return encoding
            size *= 2
        return self._without_special_tokens(text)

    def _certain(self, encoding: Encoding, first: int, size: int) -> bool:
        """True when a text that begins with these `size` characters has the same `first` tokens however it goes on."""
        if len(encoding) <= first:
            return False
        words, end = encoding.word_ids, encoding.offsets[first - 1][1]
        own = max((len(token.content) for token in self.tokenizer.get_added_tokens_decoder().values()), default=0)
        last, kept = words[-1] or 0, words[first - 1] or 0
        return last - kept >= WORDS_AT_A_CUT and end + own + CHARACTERS_AT_A_CUT <= size

    def _without_special_tokens(self, text: str) -> Encoding:
        with failures_as(TokenizerFailedError):  # a batch, which other threads need not wait for
            return self.tokenizer.encode_batch([text], add_special_tokens=False)[0]

    def _encoded(self, index: int, encoding: Encoding) -> EncodedText:
        if not len(encoding):
            raise EmptyTextError(index)
        ids = np.array(encoding.ids, np.int32)
        if ids.max() >= self.vocabulary:
            number = int(ids.max())
            raise UnknownTokenIdError(index, self.tokenizer.id_to_token(number) or "", number, self.vocabulary)
        types = np.array(encoding.type_ids, np.int32) if self.token_types else np.zeros_like(ids)
        if types.max() >= self.type_count:
            raise PairNotSupportedError(index, int(types.max()), self.type_count)
        return EncodedText(ids, types)


def _characters_cut(kept: Encoding, characters: int, side: Side) -> int:
    """Characters of a text that are in no token of its rest."""
    if not len(kept):
        return characters
    return characters - kept.offsets[-1][1] if side == "right" else kept.offsets[0][0]


def _shortened(lengths: list[int], strategy: TruncationStrategy, room: int) -> list[int]:
    """Lengths of a text, or of a pair's two parts, that fit into `room` tokens.

    `longest_first` is the rule of the tokenizers library (utils/truncation.rs): the shorter part is kept whole while
    it is at most half of the room.
    """
    excess = sum(lengths) - room
    if excess <= 0:
        return lengths
    if room == 0:
        return [0] * len(lengths)
    if strategy == "longest_first":
        if len(lengths) == 1:
            return [room]
        shorter = min(lengths)
        if 2 * shorter > room:
            shorter = room // 2
        return [shorter, room - shorter] if lengths[0] <= lengths[1] else [room - shorter, shorter]
    which = 0 if strategy == "only_first" else 1
    if which >= len(lengths) or lengths[which] <= excess:
        raise TruncationFailedError(strategy)
    return [length - excess if index == which else length for index, length in enumerate(lengths)]
