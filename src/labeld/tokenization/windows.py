"""Texts beyond the model's limit, read in overlapping windows (`parameters.stride`).

The windows are those of transformers' `stride` with `return_overflowing_tokens`: each but the last has as many tokens
as `max_length` allows, and shares `stride` of them, special tokens not counted, with the one before it. Where texts
lose their beginning they are counted from the end, and the first one may be shorter. Always they are in the order of
the text.
"""

from collections.abc import Callable

from tokenizers import Encoding, Tokenizer

from labeld.literals import Side
from labeld.tokenization.errors import StrideTooLargeError, TokenizerFailedError, TooManyWindowsError
from labeld.tokenization.guard import failures_as
from labeld.types import EncodedInput, EncodedText, Parameters, Text


class WindowReader:
    """Reads the texts of one request in windows of `keep` tokens, special tokens included."""

    def __init__(self, tokenizer: Tokenizer, keep: int, parameters: Parameters, side: Side, limit: int) -> None:
        """`limit` is the number of windows of all its texts, at most. The parameters have a stride.

        `side` is the one that truncation would cut off.
        """
        assert parameters.stride is not None
        self._side = side
        self._tokenizer, self._keep, self._parameters, self._limit = tokenizer, keep, parameters, limit
        self._stride, self._count = parameters.stride, 0
        self._known: dict[str, Encoding] = {}

    def read(self, index: int, text: Text, encoded: Callable[[Encoding], EncodedText]) -> EncodedInput:
        """The windows of the text at this position; of a pair one text is read in windows, beside the whole other one.

        Raises StrideTooLargeError where windows would not move on, TooManyWindowsError, TokenizerFailedError.
        """
        room = self._keep - self._tokenizer.num_special_tokens_to_add(text.pair is not None)
        first = self._tokens(text.text, shared=text.pair is not None)
        second = None if text.pair is None else self._tokens(text.pair, shared=False)
        in_second = second is not None and self._is_second(first, second)
        long, other = (second, first) if in_second and second is not None else (first, second)
        room -= len(other) if other is not None else 0
        characters = len(text.pair or "") if in_second else len(text.text)
        if len(long) <= room:
            self._count_windows(index, 1)
            spans = [(0, characters)]
            windows = [long]
        else:
            step = room - self._stride
            if step < 1:
                raise StrideTooLargeError(index, self._stride, room, self._keep)
            self._count_windows(index, 1 - (room - len(long)) // step)
            with failures_as(TokenizerFailedError):
                whole = Encoding.merge([long], growing_offsets=False)  # truncating would change one that others share
                whole.truncate(room, stride=self._stride, direction=self._side)
                windows = [whole, *whole.overflowing]
                if self._side == "left":  # then transformers has the last one first
                    windows.reverse()
                spans = [(one.offsets[0][0], one.offsets[-1][1]) for one in windows]
        with failures_as(TokenizerFailedError):
            pairs = ((other, one) if in_second and other is not None else (one, other) for one in windows)
            finished = [self._tokenizer.post_process(one, beside) for one, beside in pairs]
        return EncodedInput(tuple([encoded(one) for one in finished]), tuple(spans))

    def _is_second(self, first: Encoding, second: Encoding) -> bool:
        """True when of a pair the second text is read in windows: by default the longer one is."""
        strategy = self._parameters.truncation
        if strategy in {"only_first", "only_second"}:
            return strategy == "only_second"
        return len(second) > len(first)

    def _count_windows(self, index: int, count: int) -> None:
        self._count += count
        if self._count > self._limit:
            raise TooManyWindowsError(index, self._limit)

    def _tokens(self, text: str, *, shared: bool) -> Encoding:
        """The tokens without special tokens; one that pairs may share is kept for the next pair."""
        if (known := self._known.get(text)) is not None:
            return known
        with failures_as(TokenizerFailedError):  # a batch, which other threads need not wait for
            encoding = self._tokenizer.encode_batch([text], add_special_tokens=False)[0]
        if shared:
            self._known = {text: encoding}
        return encoding
