"""The tokenizers of XLM-RoBERTa, CamemBERT and DeBERTa-v2 from a bare sentencepiece file.

Ids and added tokens are those of transformers' classes; a text between two added tokens is encoded as the sentencepiece
library encodes it (normalizer.cc, unigram_model.cc), which transformers 5 itself does not quite do. Where a switch asks
for what sentencepiece does not have, the tokenizer is the one that transformers builds of the file's pieces.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

from tokenizers import AddedToken, NormalizedString, Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from labeld.errors import FolderError
from labeld.tokenization.build import build
from labeld.tokenization.charsmap import CharacterMap
from labeld.tokenization.recipes import RECIPES
from labeld.tokenization.sentencepiece_model import Kind, Piece, SentencePieceModel, read_sentencepiece_model
from labeld.tokenization.special_tokens import PlacedTokens, SpecialTokens, read_special_tokens
from labeld.tokenization.steps import Config, flag
from labeld.tokenization.vocabulary import Vocabulary

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""The character for a space in pieces."""

EVERYTHING = Regex(r"(?m)\A.*\z")


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of a family's own tokens around a file's pieces."""

    file: str
    before: tuple[str, ...] = ()
    """Roles, or names of tokens that are never used, in front of the file's pieces."""
    without: tuple[str, ...] = ()
    """The file's first pieces, which give way to `before`."""
    switches: frozenset[str] = frozenset({"add_prefix_space", "split_special_tokens"})
    """Switches of tokenizer_config.json that the class has and sentencepiece lacks."""


SWITCHES = {"add_prefix_space": True, "do_lower_case": False, "split_by_punct": False, "split_special_tokens": False}
"""The values of the switches that describe sentencepiece's own behaviour."""

LAYOUTS = {
    "XLMRobertaTokenizer": Layout(
        "sentencepiece.bpe.model",
        ("bos_token", "pad_token", "eos_token", "unk_token"),
        ("<unk>", "<s>", "</s>"),
    ),
    "CamembertTokenizer": Layout(
        "sentencepiece.bpe.model",
        ("<s>NOTUSED", "pad_token", "</s>NOTUSED", "unk_token", "<unk>NOTUSED"),
        ("<unk>",),
    ),
    "DebertaV2Tokenizer": Layout("spm.model", switches=frozenset(SWITCHES)),
}
"""By transformers class; the fairseq families also have their mask token after the pieces."""


def read_sentencepiece(folder: Path, config: Config, class_name: str) -> Tokenizer:
    """The tokenizer of a folder with a sentencepiece file; raises FolderError naming the file that is broken."""
    layout, recipe = LAYOUTS[class_name], RECIPES[class_name]
    model = read_sentencepiece_model(folder / layout.file)
    given = read_special_tokens(folder, config, recipe.tokens, recipe.rules)
    tokens = _matched_first(given)
    pieces = _arranged(model.pieces, layout, tokens)
    unknown = next(index for index, piece in enumerate(pieces) if piece.kind == Kind.UNKNOWN)
    if any(flag(config, name, default=SWITCHES[name]) != SWITCHES[name] for name in layout.switches):
        vocabulary = Vocabulary(
            layout.file, [(piece.text, piece.score) for piece in pieces], [], model.character_map or None
        )
        return build(recipe, vocabulary, given, {**config, "unk_id": unknown})
    entries = [_entry(piece) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(entries, unknown, byte_fallback=model.byte_fallback))
    tokenizer.normalizer = _normalizer(model, layout.file)
    tokenizer.pre_tokenizer = _pre_tokenizer(model, pieces)
    tokenizer.decoder = decoders.Metaspace()
    control = [piece.text for piece in model.pieces if piece.kind == Kind.CONTROL]
    tokens.add_to(tokenizer, lambda _: [AddedToken(text, normalized=False, special=True) for text in control])
    if recipe.processor is not None:
        tokenizer.post_processor = recipe.processor(PlacedTokens(tokens, tokenizer, layout.file), config)
    return tokenizer


def _arranged(pieces: list[Piece], layout: Layout, tokens: SpecialTokens) -> list[Piece]:
    """The file's pieces, at the ids that the family gives them (transformers' `convert_from_spm`)."""
    if not layout.before:
        return pieces
    if tuple(piece.text for piece in pieces[: len(layout.without)]) != layout.without:
        raise FolderError(f"{layout.file} does not begin with {', '.join(layout.without)}, as this family's files do.")
    before = [
        Piece(
            tokens.text(name) if name.endswith("_token") else name,
            0.0,
            Kind.UNKNOWN if name == "unk_token" else Kind.CONTROL,
        )
        for name in layout.before
    ]
    return [*before, *pieces[len(layout.without) :], Piece(tokens.text("mask_token"), 0.0, Kind.CONTROL)]


def _entry(piece: Piece) -> tuple[str, float]:
    """A piece for the Unigram model, where only NORMAL pieces may decide how unlikely the unknown is."""
    if piece.kind == Kind.UNUSED:
        return f"{piece.text} ", 0.0  # no text has a space any more when it comes to the model
    return piece.text, piece.score if piece.kind == Kind.NORMAL else 0.0


def _matched_first(tokens: SpecialTokens) -> SpecialTokens:
    """Added tokens, matched in the text before normalisation, so that each part between two is encoded by itself."""
    return replace(
        tokens,
        added={
            number: AddedToken(
                token.content,
                single_word=token.single_word,
                lstrip=token.lstrip,
                rstrip=token.rstrip,
                normalized=False,
                special=token.special,
            )
            for number, token in tokens.added.items()
        },
    )


class SpaceNormalizer:
    """sentencepiece's Normalizer but for the mark in front and the marks for spaces, which Metaspace writes."""

    def __init__(self, model: SentencePieceModel) -> None:
        self._map = CharacterMap(model.character_map) if model.character_map else str
        own = _longest_first(model.pieces)
        self._own = re.compile(f"({'|'.join(map(re.escape, own))})") if own else None
        self._squeeze = model.remove_extra_whitespaces
        self._prefix = model.add_dummy_prefix

    def normalize(self, normalized: NormalizedString) -> None:
        """Changes the text in place, as `Normalizer.custom` wants it."""
        before = normalized.normalized
        after = self.apply(before)
        if after != before:
            normalized.replace(EVERYTHING, after)

    def apply(self, text: str) -> str:
        """The text after the character map, without spaces at its ends and next to others."""
        if self._own:  # the file's own symbols stay as they are
            text = "".join(
                part if odd else self._map(part)
                for part, odd in zip(self._own.split(text), cycle((False, True)), strict=False)
            )
        else:
            text = self._map(text)
        if self._squeeze:
            text = re.sub("  +", " ", text).lstrip(" ").rstrip(f" {SPACE}")
        if self._prefix and text.startswith((SPACE, " ")):
            return SPACE + text  # Metaspace would take the text's own for the mark
        return text


def _normalizer(model: SentencePieceModel, file: str) -> Normalizer:
    try:
        return Normalizer.custom(SpaceNormalizer(model))
    except ValueError:
        raise FolderError(f"{file} has a character map that cannot be read.") from None


def _pre_tokenizer(model: SentencePieceModel, pieces: list[Piece]) -> PreTokenizer:
    scheme: Literal["always", "never"] = "always" if model.add_dummy_prefix else "never"
    steps: list[PreTokenizer] = [pre_tokenizers.Metaspace(SPACE, prepend_scheme=scheme, split=False)]
    own = _longest_first(pieces)
    if own:
        steps.append(pre_tokenizers.Split(Regex("|".join(map(_escaped, own))), "isolated"))
    hidden = {piece.text for piece in pieces if piece.kind not in (Kind.NORMAL, Kind.USER_DEFINED, Kind.UNUSED)}
    steps.append(pre_tokenizers.Split(Regex(_behind_first_character(hidden)), "merged_with_previous"))
    return pre_tokenizers.Sequence(steps)


def _longest_first(pieces: list[Piece]) -> list[str]:
    """The symbols that the file's author defined, which sentencepiece always takes whole."""
    return sorted((piece.text for piece in pieces if piece.kind == Kind.USER_DEFINED), key=len, reverse=True)


def _behind_first_character(names: Iterable[str]) -> str:
    """Matches the first character of each name: cut there, a text never matches a piece that only added tokens give.

    sentencepiece finds such pieces in no text, tokenizers' Unigram in every one.
    """
    rests: dict[str, list[str]] = {}
    for name in sorted(names):
        rests.setdefault(name[0], []).append(_escaped(name[1:]))
    return "|".join(f"{_escaped(first)}(?={'|'.join(rest)})" for first, rest in rests.items())


def _escaped(text: str) -> str:
    """Literal in a regular expression of Oniguruma."""
    return "".join(one if one.isalnum() or ord(one) > 127 else f"\\x{ord(one):02x}" for one in text)
