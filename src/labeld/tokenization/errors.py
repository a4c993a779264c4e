"""Failures of turning texts into token ids. The base class and general failures are in labeld/errors.py."""

from labeld.errors import InvalidRequestError, OneTextError
from labeld.interface import Interface


class TextTooLongError(OneTextError):
    """A text has more tokens than the model takes, and truncation was not asked for."""

    status = 400

    def __init__(self, index: int, tokens: int, limit: int) -> None:
        super().__init__(index, tokens, limit)
        self.index, self.tokens, self.limit = index, tokens, limit

    def sentence(self, interface: Interface) -> str:
        """Both numbers, and how to have the text truncated."""
        return (
            f"{interface.text(self.index).capitalize()} is {self.tokens} tokens long, but the model takes at most "
            f"{self.limit}: shorten it, or {interface.truncation}."
        )


class TextTooManyCharactersError(OneTextError):
    """A text has more characters than are tokenised at all, and truncation was not asked for."""

    status = 400

    def __init__(self, index: int, characters: int, limit: int) -> None:
        super().__init__(index, characters, limit)
        self.index, self.characters, self.limit = index, characters, limit

    def sentence(self, interface: Interface) -> str:
        """Both numbers, the origin of the limit, and how to have the text truncated."""
        return (
            f"{interface.text(self.index).capitalize()} has {self.characters} characters, more than the limit of "
            f"{self.limit} (setting {interface.setting('max_text_characters')}, and 250 per token the model takes): "
            f"shorten it, or {interface.truncation}."
        )


class EmptyTextError(InvalidRequestError, OneTextError):
    """A text has no tokens at all, as the empty one of a tokenizer without special tokens, such as GPT-2's."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index

    def sentence(self, interface: Interface) -> str:
        """Asks for words."""
        return f"{interface.text().capitalize()} has no tokens, so this model cannot read it: send words."


class PairNotSupportedError(InvalidRequestError):
    """A pair has tokens of a type that the model has no embedding for."""

    def __init__(self, index: int, token_type: int, types: int) -> None:
        super().__init__(index, token_type, types)
        self.index, self.token_type, self.types = index, token_type, types

    def sentence(self, interface: Interface) -> str:
        """Names the text, and asks for single ones."""
        return (
            f"{interface.text(self.index).capitalize()} has tokens of type {self.token_type}, but the model knows only "
            f"types below {self.types}, so it reads no pairs: send single texts."
        )


class MaxLengthTooSmallError(InvalidRequestError):
    """`max_length` leaves no room for a text beside the model's special tokens."""

    def __init__(self, max_length: int, special_tokens: int) -> None:
        super().__init__(max_length, special_tokens)
        self.max_length, self.special_tokens = max_length, special_tokens

    def sentence(self, interface: Interface) -> str:
        """Both numbers."""
        return (
            f"{interface.parameter('max_length')} is {self.max_length}, but the special tokens alone need "
            f"{self.special_tokens}: ask for more."
        )


class StrideTooLargeError(InvalidRequestError, OneTextError):
    """Windows that share so many tokens would not move on through the text."""

    def __init__(self, index: int, stride: int, room: int, length: int) -> None:
        super().__init__(index, stride, room, length)
        self.index, self.stride, self.room, self.length = index, stride, room, length

    def sentence(self, interface: Interface) -> str:
        """The numbers, and both ways out."""
        if self.room <= 0:
            return (
                f"{interface.parameter('max_length')} is {self.length}, which leaves no room for "
                f"{interface.text(self.index)} beside the special tokens and the rest of its pair: ask for more."
            )
        return (
            f"{interface.parameter('stride')} is {self.stride}, but a window of {self.length} tokens has room for "
            f"{self.room} of {interface.text(self.index)} beside the special tokens and the rest of its pair: "
            f"ask for less, or for a larger {interface.parameter('max_length')}."
        )


class TooManyWindowsError(InvalidRequestError, OneTextError):
    """The texts of a request have more windows than are read."""

    def __init__(self, index: int, limit: int) -> None:
        super().__init__(index, limit)
        self.index, self.limit = index, limit

    def sentence(self, interface: Interface) -> str:
        """The limit, and the ways out."""
        return (
            f"With {interface.text(self.index)} the request has more windows than the limit of {self.limit} (setting "
            f"{interface.setting('max_windows')}): ask for a smaller {interface.parameter('stride')} or a larger "
            f"{interface.parameter('max_length')}, or send less text at a time."
        )


class TruncationFailedError(InvalidRequestError, OneTextError):
    """A strategy that shortens one text of a pair cannot make the pair short enough."""

    def __init__(self, strategy: str) -> None:
        super().__init__(strategy)
        self.strategy = strategy

    def sentence(self, interface: Interface) -> str:
        """Names the strategy that always can."""
        return (
            f"{interface.parameter('truncation')} {self.strategy} cannot make this text short enough: "
            "use longest_first."
        )


class UnknownTokenIdError(OneTextError):
    """A text has a token for which the model has no embedding: its tokenizer has more tokens than the model."""

    def __init__(self, index: int, token: str, number: int, vocabulary: int) -> None:
        super().__init__(index, token, number, vocabulary)
        self.index, self.token, self.number, self.vocabulary = index, token, number, vocabulary

    def sentence(self, interface: Interface) -> str:
        """Names the text, the token and the number of embeddings."""
        return (
            f"{interface.text(self.index).capitalize()} has the token {self.token[:60]!r} of id {self.number}, but the "
            f"model knows only ids below {self.vocabulary}: leave it out, or repair the model's tokenizer."
        )


class TokenizerFailedError(OneTextError):
    """The tokenizers library failed on a text, for example on a pattern that backtracks for too long."""

    def sentence(self, interface: Interface) -> str:
        """Names the likely cause."""
        return (
            f"The model's tokenizer failed on {interface.text()}, perhaps because a pattern of its tokenizer.json "
            "takes too long there: send another text, or use another model."
        )
