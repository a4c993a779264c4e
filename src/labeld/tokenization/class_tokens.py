"""The special tokens that transformers' tokenizer classes have by default, where no file of a folder names them."""

from collections.abc import Callable, Mapping, Sequence

from labeld.errors import FolderError
from labeld.tokenization.special_tokens import Rules, Token
from labeld.tokenization.steps import Config

OwnTokens = Callable[[Config, Sequence[Token] | None], Sequence[Token]]
"""The extra tokens of a class, given the `additional_special_tokens` of the files."""

BERT_TOKENS: Mapping[str, Token] = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
DEBERTA_TOKENS: Mapping[str, Token] = {**BERT_TOKENS, "bos_token": "[CLS]", "eos_token": "[SEP]"}
ALBERT_TOKENS: Mapping[str, Token] = {**DEBERTA_TOKENS, "unk_token": "<unk>", "pad_token": "<pad>"}
FAIRSEQ_TOKENS: Mapping[str, Token] = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
ANGLED_TOKENS: Mapping[str, Token] = {**FAIRSEQ_TOKENS, "sep_token": "<sep>", "cls_token": "<cls>"}
GPT_TOKENS: Mapping[str, Token | None] = {
    **dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>"),
    "pad_token": None,
}
QWEN_TOKENS: Mapping[str, Token] = dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|endoftext|>")

MBART_LANGUAGES = (
    *("ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX"),
    *("kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN"),
    "zh_CN",
)

EXTRA_IDS_LIMIT = 10_000
"""Extra tokens `<extra_id_…>`, at most: more is a broken or hostile file; T5 has 100."""

PLAIN: Rules = {role: {"lstrip": False} for role in FAIRSEQ_TOKENS}
"""Roles whose token has the rules of `AddedToken(text)` where a file gives only its text."""
MASK_AFTER_SPACE: Rules = {"mask_token": {"lstrip": True}}


def none_own(config: Config, additional: Sequence[Token] | None) -> Sequence[Token]:
    """No extra tokens but those of the files."""
    del config
    return additional or ()


def own(*tokens: str) -> OwnTokens:
    """Makes OwnTokens of a class with these extra tokens, unless the files name some."""
    return lambda _, additional: tokens if additional is None else additional


def t5_own(config: Config, additional: Sequence[Token] | None) -> Sequence[Token]:
    """<extra_id_0> and so on, unless the files name them."""
    count = config.get("extra_ids", 100)
    if type(count) is not int or not 0 <= count <= EXTRA_IDS_LIMIT:
        raise FolderError(f"tokenizer_config.json: extra_ids is {count!r}, but must be 0 to {EXTRA_IDS_LIMIT}.")
    named = any("<extra_id_" in str(token) for token in additional or ())
    return [*(additional or ()), *([] if named else [f"<extra_id_{index}>" for index in range(count)])]


def mbart_own(config: Config, additional: Sequence[Token] | None) -> Sequence[Token]:
    """The codes of the languages, then what the files name."""
    del config
    return [*MBART_LANGUAGES, *(token for token in additional or () if token not in MBART_LANGUAGES)]
