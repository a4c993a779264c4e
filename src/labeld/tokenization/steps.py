"""The building blocks of transformers' tokenizer classes, each a function of vocabulary, tokens or config.

Those that differ between classes in more than that are made by functions with keywords, so that `recipes` is a table.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tokenizers import Regex, models, normalizers, pre_tokenizers, processors
from tokenizers.models import Model
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer
from tokenizers.processors import PostProcessor

from labeld.errors import FolderError
from labeld.tokenization.guard import failures_as
from labeld.tokenization.special_tokens import PlacedTokens, SpecialTokens
from labeld.tokenization.vocabulary import Vocabulary

Config = Mapping[str, Any]
"""The content of tokenizer_config.json."""
MakeModel = Callable[[Vocabulary, SpecialTokens, Config], Model]
MakeNormalizer = Callable[[Config, bytes | None], Normalizer | None]
"""The second argument is the character map of the vocabulary's file."""
MakePreTokenizer = Callable[[Config], PreTokenizer]
MakeProcessor = Callable[[PlacedTokens, Config], PostProcessor]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN3_5 = (
    CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def flag(config: Config, name: str, *, default: bool) -> bool:
    """A switch of tokenizer_config.json; null counts as false, as in Python."""
    return bool(config.get(name, default))


# Models


def word_piece(vocabulary: Vocabulary, tokens: SpecialTokens, config: Config) -> Model:
    """Words of at most 100 characters, with ## before all pieces but the first."""
    del config
    unknown = tokens.text("unk_token")
    if unknown not in vocabulary.words:
        raise FolderError(f"{vocabulary.file} has no {unknown} token.")
    return models.WordPiece(vocabulary.words, unk_token=unknown)


def bpe(
    *, unknown: bool = False, suffix: str | None = "", prefix: str | None = "", fuse: bool = False, bytes_: bool = False
) -> MakeModel:
    """Merges; `unknown` says whether the model has its token, `bytes_` whether it falls back to <0x00> and so on."""

    def make(vocabulary: Vocabulary, tokens: SpecialTokens, config: Config) -> Model:
        del config
        options: dict[str, Any] = {"continuing_subword_prefix": prefix} if prefix is not None else {}
        options |= {"end_of_word_suffix": suffix} if suffix is not None else {}
        options |= {"unk_token": tokens.text("unk_token")} if unknown else {}
        with failures_as(lambda: FolderError(f"{vocabulary.file} does not have all tokens that its merges join.")):
            return models.BPE(vocabulary.words, vocabulary.merges, fuse_unk=fuse, byte_fallback=bytes_, **options)

    return make


def unigram(find_unknown: Callable[[Vocabulary, SpecialTokens, Config], Any]) -> MakeModel:
    """Pieces with scores; `find_unknown` gives the id of the piece for what no piece has."""

    def make(vocabulary: Vocabulary, tokens: SpecialTokens, config: Config) -> Model:
        unknown = find_unknown(vocabulary, tokens, config)
        if type(unknown) is not int or not 0 <= unknown < len(vocabulary.pieces):
            raise FolderError(f"{vocabulary.file} has no piece for what is unknown.")
        with failures_as(lambda: FolderError(f"{vocabulary.file} has pieces that cannot be used.")):
            return models.Unigram(vocabulary.pieces, unknown, byte_fallback=False)

    return make


def unknown_at(index: int) -> MakeModel:
    """A Unigram whose unknown piece has this id, whatever its name."""
    return unigram(lambda *_: index)


def by_score(vocabulary: Vocabulary, tokens: SpecialTokens, default: Any) -> Any:
    """The id of the piece that is the unknown token with score 0, else `default`."""
    wanted = (tokens.text("unk_token"), 0.0)
    return vocabulary.pieces.index(wanted) if wanted in vocabulary.pieces else default


def by_name(vocabulary: Vocabulary, tokens: SpecialTokens, config: Config) -> int:
    """The id of the first piece that is the unknown token, else 0."""
    del config
    unknown = tokens.text("unk_token")
    return next((index for index, (piece, _) in enumerate(vocabulary.pieces) if piece == unknown), 0)


# Normalizers


def bert_normalizer(config: Config, character_map: bytes | None) -> Normalizer:
    """Control characters, CJK, accents and case, as tokenizer_config.json says."""
    return funnel_normalizer({**config, "clean_text": True}, character_map)


def funnel_normalizer(config: Config, character_map: bytes | None) -> Normalizer:
    """BERT's, where `clean_text` is a switch too."""
    del character_map
    strip_accents = config.get("strip_accents")
    return normalizers.BertNormalizer(
        clean_text=flag(config, "clean_text", default=True),
        handle_chinese_chars=flag(config, "tokenize_chinese_chars", default=True),
        strip_accents=None if strip_accents is None else bool(strip_accents),
        lowercase=flag(config, "do_lower_case", default=True),
    )


def only_map(config: Config, character_map: bytes | None) -> Normalizer | None:
    """The file's character map."""
    del config
    return None if character_map is None else normalizers.Precompiled(character_map)


def quotes_and_accents(*, lower_case: bool, keep_accents: bool | None, squeeze: bool = False) -> MakeNormalizer:
    """ALBERT's family: `lower_case` and `keep_accents` are defaults of its switches, None that there is no switch."""

    def make(config: Config, character_map: bytes | None) -> Normalizer:
        steps: list[Normalizer] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        if squeeze:
            steps.append(normalizers.Replace(Regex(" {2,}"), " "))
        if keep_accents is None or not flag(config, "keep_accents", default=keep_accents):
            steps += [normalizers.NFKD(), normalizers.StripAccents()]
        if flag(config, "do_lower_case", default=lower_case):
            steps.append(normalizers.Lowercase())
        if character_map is not None:
            steps.append(normalizers.Precompiled(character_map))
        return normalizers.Sequence(steps)

    return make


def nfc_with_spaces(*, lower_case: bool) -> MakeNormalizer:
    """NFC with runs of white space as one space; `lower_case` says whether there is a switch do_lower_case."""

    def make(config: Config, character_map: bytes | None) -> Normalizer:
        del character_map
        lower = lower_case and flag(config, "do_lower_case", default=False)
        return normalizers.Sequence(
            [
                *([normalizers.Lowercase()] if lower else []),
                normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "),
                normalizers.NFC(),
                normalizers.Strip(left=False, right=True),
            ]
        )

    return make


def map_and_squeeze(config: Config, character_map: bytes | None) -> Normalizer | None:
    """Reformer's: the character map, then runs of spaces as one; nothing without a map."""
    mapped = only_map(config, character_map)
    return mapped and normalizers.Sequence([mapped, normalizers.Replace(Regex(" {2,}"), " ")])


def always(normalizer: Normalizer) -> MakeNormalizer:
    """A normalizer without switches."""
    return lambda *_: normalizer


def nothing(*_: Any) -> None:
    """No normalizer."""


# Pre-tokenizers


def bert_words(config: Config) -> PreTokenizer:
    """White space and punctuation."""
    del config
    return pre_tokenizers.BertPreTokenizer()


def byte_level(*first: PreTokenizer) -> MakePreTokenizer:
    """Words as bytes by GPT-2's pattern, after other steps."""

    def make(config: Config) -> PreTokenizer:
        last = pre_tokenizers.ByteLevel(add_prefix_space=flag(config, "add_prefix_space", default=False))
        return pre_tokenizers.Sequence([*first, last]) if first else last

    return make


def byte_level_after(pattern: str) -> MakePreTokenizer:
    """Words as bytes by another pattern."""
    return lambda config: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(flag(config, "add_prefix_space", default=False), use_regex=False),
        ]
    )


def metaspace(*, words: bool, switch: bool = True, without: str = "never") -> MakePreTokenizer:
    """A mark for every space, and one in front of the text.

    `words` says whether white space of every kind goes first, `switch` whether there is `add_prefix_space`, and
    `without` which texts get the mark in front where that is false.
    """

    def make(config: Config) -> PreTokenizer:
        prefix = not switch or flag(config, "add_prefix_space", default=True)
        marks = pre_tokenizers.Metaspace(prepend_scheme="always" if prefix else without)
        return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marks]) if words else marks

    return make


def deberta_v2_words(config: Config) -> PreTokenizer:
    """Marks for spaces, after punctuation where split_by_punct is true."""
    marks = metaspace(words=False, without="first")(config)
    punctuation = pre_tokenizers.Punctuation(behavior="isolated")
    return pre_tokenizers.Sequence([punctuation, marks] if flag(config, "split_by_punct", default=False) else [marks])


def llama_words(config: Config) -> PreTokenizer:
    """Marks for spaces, in one piece; `legacy` puts one in front of what stands after an added token, too."""
    prefix = config.get("add_prefix_space")
    scheme = "never" if prefix is not None and not prefix else "first"
    if scheme == "first" and flag(config, "legacy", default=False):
        scheme = "always"
    return pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)


# Post-processors


def template(single: str, pair: str, *, first: str = "cls_token", last: str = "sep_token") -> MakeProcessor:
    """`single` and `pair` as the tokenizers library writes them, with F and L for the tokens of two roles."""

    def make(tokens: PlacedTokens, config: Config) -> PostProcessor:
        del config
        return tokens.template(
            single, pair, {name: role for name, role in (("F", first), ("L", last)) if name in single}
        )

    return make


BERT = template("F:0 $A:0 L:0", "F:0 $A:0 L:0 $B:1 L:1")
FAIRSEQ = template("F:0 $A:0 L:0", "F:0 $A:0 L:0 L:0 $B:0 L:0", first="bos_token", last="eos_token")


def roberta_processor(tokens: PlacedTokens, config: Config) -> PostProcessor:
    """<s> A </s> and <s> A </s></s> B </s>, all of type 0."""
    return processors.RobertaProcessing(
        tokens.place("sep_token"),
        tokens.place("cls_token"),
        trim_offsets=flag(config, "trim_offsets", default=True),
        add_prefix_space=flag(config, "add_prefix_space", default=False),
    )


def herbert_processor(tokens: PlacedTokens, config: Config) -> PostProcessor:
    """BERT's, whose ids are 0 and 2 whatever the vocabulary says."""
    del config
    return processors.BertProcessing((tokens.text("sep_token"), 2), (tokens.text("cls_token"), 0))


def mbart_processor(tokens: PlacedTokens, config: Config) -> PostProcessor:
    """A </s> and the source language's code."""
    language = config.get("src_lang")
    return tokens.template("$A:0 L:0 X:0", "$A:0 $B:0 L:0 X:0", {"L": "eos_token"}, {"X": str(language or "en_XX")})


def bos_and_eos(tokens: PlacedTokens, config: Config) -> PostProcessor:
    """The tokens that add_bos_token and add_eos_token ask for; neither counts beside tokenizer.json."""
    first = flag(config, "add_bos_token", default=False) and tokens.has("bos_token")
    last = flag(config, "add_eos_token", default=False) and tokens.has("eos_token")
    single, pair = (("F:{0} " if first else "") + part + (" L:{0}" if last else "") for part in ("$A:{0}", "$B:{0}"))
    roles = ({"F": "bos_token"} if first else {}) | ({"L": "eos_token"} if last else {})
    return tokens.template(single.format(0), f"{single.format(0)} {pair.format(1)}", roles)
