"""Recipes by which transformers 5 builds its tokenizer classes anew: a table read off the classes' `__init__`.

A class takes the vocabulary of its files, and of tokenizer_config.json the switches that its entry reads: a switch of
another class changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tokenizers import Regex, normalizers, pre_tokenizers

from labeld.tokenization import steps
from labeld.tokenization.class_tokens import (
    ALBERT_TOKENS,
    ANGLED_TOKENS,
    BERT_TOKENS,
    DEBERTA_TOKENS,
    FAIRSEQ_TOKENS,
    GPT_TOKENS,
    MASK_AFTER_SPACE,
    PLAIN,
    QWEN_TOKENS,
    OwnTokens,
    mbart_own,
    none_own,
    own,
    t5_own,
)
from labeld.tokenization.special_tokens import Rules, Token


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe of one class."""

    files: Literal["words", "bpe", "none"]
    """The bare files with its vocabulary where there is no tokenizer.json; sentencepiece files are read elsewhere."""
    model: steps.MakeModel
    normalizer: steps.MakeNormalizer
    pre_tokenizer: steps.MakePreTokenizer
    processor: steps.MakeProcessor | None
    """None: that of tokenizer.json, else `steps.bos_and_eos`."""
    tokens: Mapping[str, Token | None]
    """Default token of each role of the class; None where it has none."""
    rules: Rules = field(default_factory=dict)
    own_tokens: OwnTokens = none_own
    processor_for: Literal["all files", "files without one", "files with one"] = "all files"
    """The tokenizer.json files that get `processor`; the others have their own, or that of `steps.bos_and_eos`."""
    added_again: Literal["no", "named", "plain"] = "no"
    """Whether and how special tokens are added once more: by the rules of the files, or without rules."""


_UNKNOWN_3 = steps.unknown_at(3)
_BPE = steps.bpe()

_BERT = Recipe("words", steps.word_piece, steps.bert_normalizer, steps.bert_words, steps.BERT, BERT_TOKENS)
_ROBERTA = Recipe("bpe", _BPE, steps.nothing, steps.byte_level(), steps.roberta_processor, FAIRSEQ_TOKENS)
_GPT2 = Recipe("bpe", _BPE, steps.nothing, steps.byte_level(), None, GPT_TOKENS)
_QWEN2 = Recipe(
    "bpe",
    _BPE,
    steps.always(normalizers.NFC()),
    steps.byte_level_after(steps.QWEN2),
    None,
    QWEN_TOKENS,
    added_again="plain",
)
_XLM_ROBERTA = Recipe("none", _UNKNOWN_3, steps.only_map, steps.metaspace(words=True), steps.FAIRSEQ, FAIRSEQ_TOKENS)
_ALBERT = Recipe(
    "none",
    steps.unknown_at(1),
    steps.quotes_and_accents(lower_case=True, keep_accents=False),
    steps.metaspace(words=True),
    steps.BERT,
    ALBERT_TOKENS,
    processor_for="files without one",
)

RECIPES: Mapping[str, Recipe] = {
    "AlbertTokenizer": _ALBERT,
    "FNetTokenizer": replace(_ALBERT, processor=None),
    "BarthezTokenizer": Recipe(
        "none",
        _UNKNOWN_3,
        steps.nfc_with_spaces(lower_case=False),
        steps.metaspace(words=False),
        None,
        FAIRSEQ_TOKENS,
        MASK_AFTER_SPACE,
    ),
    "BertTokenizer": _BERT,
    "ConvBertTokenizer": _BERT,
    "DistilBertTokenizer": _BERT,
    "BigBirdTokenizer": Recipe(
        "none",
        steps.unigram(lambda vocabulary, tokens, _: steps.by_score(vocabulary, tokens, 100)),
        steps.always(
            normalizers.Sequence([normalizers.Strip(left=False, right=False), normalizers.Replace(Regex(" {2,}"), "▁")])
        ),
        steps.metaspace(words=False),
        steps.BERT,
        {**FAIRSEQ_TOKENS, "sep_token": "[SEP]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
        {**PLAIN, **MASK_AFTER_SPACE},
    ),
    "CamembertTokenizer": replace(
        _XLM_ROBERTA,
        model=steps.unigram(steps.by_name),
        rules={"mask_token": {"lstrip": True, "special": True}},
        own_tokens=own("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    ),
    "CodeGenTokenizer": replace(_GPT2, processor=steps.bos_and_eos, processor_for="files without one"),
    "CohereTokenizer": Recipe(
        "bpe",
        _BPE,
        steps.always(normalizers.NFC()),
        steps.byte_level(pre_tokenizers.Digits(individual_digits=True)),
        None,
        {
            "unk_token": "<UNK>",
            "bos_token": "<BOS_TOKEN>",
            "eos_token": "<|END_OF_TURN_TOKEN|>",
            "pad_token": "<PAD>",
            "cls_token": "<CLS>",
            "sep_token": "<SEP>",
            "mask_token": "<MASK_TOKEN>",
        },
        added_again="named",
    ),
    "DebertaTokenizer": replace(
        _ROBERTA,
        processor=steps.template("F:0 $A:0 L:0", "F:0 $A:0 L:0 L:0 $B:0 L:0"),
        tokens=DEBERTA_TOKENS,
    ),
    "DebertaV2Tokenizer": Recipe(
        "none",
        steps.unigram(lambda vocabulary, tokens, config: steps.by_score(vocabulary, tokens, config.get("unk_id", 1))),
        steps.nfc_with_spaces(lower_case=True),
        steps.deberta_v2_words,
        steps.BERT,
        DEBERTA_TOKENS,
    ),
    "FunnelTokenizer": replace(
        _BERT,
        normalizer=steps.funnel_normalizer,
        processor=steps.template("F:2 $A:0 L:0", "F:2 $A:0 L:0 $B:1 L:1"),
        tokens=ANGLED_TOKENS,
    ),
    "GPT2Tokenizer": _GPT2,
    "GPTNeoXTokenizer": replace(
        _GPT2,
        normalizer=steps.always(normalizers.NFC()),
        processor=steps.bos_and_eos,
        tokens={**GPT_TOKENS, "pad_token": "<|padding|>"},
    ),
    "GemmaTokenizer": Recipe(
        "none",
        steps.bpe(unknown=True, prefix=None, suffix=None, fuse=True, bytes_=True),
        steps.always(normalizers.Replace(" ", "▁")),
        lambda _: pre_tokenizers.Split(" ", "merged_with_previous"),
        None,
        {
            "unk_token": "<unk>",
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
    ),
    "HerbertTokenizer": Recipe(
        "bpe",
        steps.bpe(unknown=True, prefix=None, suffix="</w>"),
        steps.always(normalizers.BertNormalizer(lowercase=False, strip_accents=False)),
        steps.bert_words,
        steps.herbert_processor,
        {role: token for role, token in FAIRSEQ_TOKENS.items() if role not in ("bos_token", "eos_token")},
    ),
    "LlamaTokenizer": Recipe(
        "none",
        steps.bpe(prefix=None, suffix=None, fuse=True, bytes_=True),
        steps.nothing,
        steps.llama_words,
        None,
        {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    ),
    "MBartTokenizer": Recipe(
        "none",
        _UNKNOWN_3,
        steps.nothing,
        steps.metaspace(words=True, switch=False),
        steps.mbart_processor,
        FAIRSEQ_TOKENS,
        MASK_AFTER_SPACE,
        mbart_own,
    ),
    "MPNetTokenizer": replace(
        _BERT,
        processor=steps.roberta_processor,
        tokens={**FAIRSEQ_TOKENS, "unk_token": "[UNK]"},
        rules={**PLAIN, **MASK_AFTER_SPACE},
    ),
    "OpenAIGPTTokenizer": Recipe(
        "bpe",
        steps.bpe(unknown=True, suffix="</w>"),
        steps.always(normalizers.BertNormalizer(lowercase=True)),
        steps.bert_words,
        None,
        {"unk_token": "<unk>"},
    ),
    "Qwen2Tokenizer": _QWEN2,
    "Qwen3_5Tokenizer": replace(
        _QWEN2, files="none", pre_tokenizer=steps.byte_level_after(steps.QWEN3_5), added_again="no"
    ),
    "ReformerTokenizer": Recipe(
        "none",
        steps.bpe(unknown=True, prefix=None, suffix=None, fuse=True),
        steps.map_and_squeeze,
        steps.metaspace(words=False, switch=False),
        None,
        {"unk_token": "<unk>", "eos_token": "</s>"},
        added_again="named",
    ),
    "RemBertTokenizer": Recipe(
        "none",
        steps.unknown_at(2),
        steps.quotes_and_accents(lower_case=False, keep_accents=True, squeeze=True),
        steps.metaspace(words=False),
        steps.BERT,
        ALBERT_TOKENS,
        processor_for="files with one",
        added_again="named",
    ),
    "RobertaTokenizer": _ROBERTA,
    "T5Tokenizer": Recipe(
        "none",
        steps.unknown_at(2),
        steps.only_map,
        steps.metaspace(words=True, switch=False),
        steps.template("$A:0 L:0", "$A:0 L:0 $B:0 L:0", last="eos_token"),
        {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"},
        own_tokens=t5_own,
    ),
    "XLMRobertaTokenizer": _XLM_ROBERTA,
    "XLNetTokenizer": Recipe(
        "none",
        steps.unigram(lambda *given: given[2].get("unk_id", 0)),
        steps.quotes_and_accents(lower_case=False, keep_accents=None),
        steps.metaspace(words=True, switch=False),
        steps.template("$A:0 L:0 F:2", "$A:0 L:0 $B:1 L:1 F:2"),
        ANGLED_TOKENS,
        MASK_AFTER_SPACE,
        own("<eop>", "<eod>"),
    ),
}

NO_CLASS = Recipe("none", _BPE, steps.nothing, steps.byte_level(), None, {})
"""For tokenizer.json as it is: no tokens of its own, and the file's post-processor."""
