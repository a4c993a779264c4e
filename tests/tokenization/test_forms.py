"""Token ids and types from every form of tokenizer files, against transformers and sentencepiece."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer
from labeld.types import Parameters, Text
from tests.support.tokenizer_folders import (
    NASTY,
    OWN_SYMBOL,
    SHARED,
    Expected,
    albert,
    albert_of_version_4,
    by_sentencepiece,
    by_transformers,
    byte_bpe,
    deberta,
    fairseq,
    real,
    saved,
    sentences,
    word_piece,
)

pytestmark = pytest.mark.slow

NEW_TOKEN = {"content": "NEWTOKEN", "lstrip": False, "rstrip": False, "single_word": False, "normalized": True}
CLS_TOKEN = {"__type": "AddedToken", **NEW_TOKEN, "content": "[CLS]", "lstrip": True}
XLM_ROBERTA = partial(fairseq, model_type="xlm-roberta")
CAMEMBERT = partial(fairseq, model_type="camembert")
TYPES = ["input_ids", "token_type_ids"]
AS_IT_IS = {"tokenizer_class": "PreTrainedTokenizerFast"}

LIKE_TRANSFORMERS: dict[str, Callable[[Path], Path]] = {
    "vocab.txt": word_piece,
    "vocab.txt, cased": partial(word_piece, do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False),
    "vocab.txt, DistilBERT": partial(word_piece, model_type="distilbert", tokenizer_class="DistilBertTokenizer"),
    "vocab.txt, ELECTRA": partial(word_piece, model_type="electra", strip_accents=False, cls_token=CLS_TOKEN),
    "vocab.json": byte_bpe,
    "vocab.json, prefix space": partial(byte_bpe, add_prefix_space=True, additional_special_tokens=["NEWTOKEN"]),
    "vocab.json, BART": partial(byte_bpe, model_type="bart", model_max_length=1024),
    "vocab.json, BART by its class": partial(byte_bpe, model_type="bart", tokenizer_class="BartTokenizer"),
    "tokenizer.json, BERT": partial(saved, word_piece),
    "tokenizer.json, BERT, cased in the config": partial(saved, word_piece, do_lower_case=False),
    "tokenizer.json, BERT, as it is": partial(saved, word_piece, do_lower_case=False, **AS_IT_IS),
    "tokenizer.json, BERT, no types": partial(saved, word_piece, model_input_names=["input_ids"]),
    "tokenizer.json, BERT, added": partial(saved, word_piece, added_tokens_decoder={"9999": NEW_TOKEN}),
    "tokenizer.json, RoBERTa": partial(saved, byte_bpe),
    "tokenizer.json, BART": partial(saved, partial(byte_bpe, model_type="bart")),
    "tokenizer.json, BART of version 4": partial(
        saved, partial(byte_bpe, model_type="bart"), tokenizer_class="BartTokenizerFast", add_prefix_space=True
    ),
    "tokenizer.json, XLM-RoBERTa": partial(saved, XLM_ROBERTA),
    "tokenizer.json, XLM-RoBERTa, no class": partial(saved, XLM_ROBERTA, tokenizer_class=None),
    "tokenizer.json, XLM-RoBERTa, types": partial(
        saved, XLM_ROBERTA, model_input_names=["input_ids", "token_type_ids"]
    ),
    "tokenizer.json, XLM-RoBERTa, as it is": partial(saved, XLM_ROBERTA, **AS_IT_IS),
    "tokenizer.json, CamemBERT": partial(saved, CAMEMBERT),
    "tokenizer.json, ALBERT": partial(saved, albert),
    "tokenizer.json, ALBERT of version 4": albert_of_version_4,
    "tokenizer.json, DeBERTa-v2": partial(saved, deberta),
    "tokenizer.json, DeBERTa-v2, lower case": partial(saved, deberta, do_lower_case=True, split_by_punct=True),
}
LIKE_SENTENCEPIECE: dict[str, Callable[[Path], Path]] = {
    "XLM-RoBERTa": XLM_ROBERTA,
    "XLM-RoBERTa, added": partial(fairseq, model_type="xlm-roberta", added_tokens_decoder={"9999": NEW_TOKEN}),
    "CamemBERT": CAMEMBERT,
    "DeBERTa-v2": deberta,
    "DeBERTa-v2, own symbols": partial(
        deberta, rules={"user_defined_symbols": f"<ud>,{OWN_SYMBOL},the,th", "control_symbols": "NEWTOKEN"}
    ),
    "DeBERTa-v2, spaces": partial(
        deberta, rules={"remove_extra_whitespaces": False, "normalization_rule_name": "identity"}
    ),
    "DeBERTa-v2, no prefix": partial(
        deberta, rules={"add_dummy_prefix": False, "normalization_rule_name": "nfkc_cf", "split_by_whitespace": False}
    ),
}
REAL = {
    "distilbert-sst2": by_transformers,
    "finbert": by_transformers,
    "twitter-roberta-latest": by_transformers,
    "deberta-v3-base": by_sentencepiece,
}


def encoder(folder: Path) -> TextEncoder:
    """Ours, without limits."""
    files = read_tokenizer(folder)
    return TextEncoder(files.tokenizer, 10**6, 10**6, files.truncation_side, files.token_types)


def differing(ours: TextEncoder, expected: Expected) -> list[Any]:
    """Texts and pairs of which ids or types differ, with what is expected and what there is."""
    single = [*NASTY, *sentences()[::3]]
    texts = [*map(Text, single), *(Text(one, other) for one, other in pairwise(single) if other)]
    actual = [(one.ids.tolist(), one.type_ids.tolist()) for one in ours.encode(texts, Parameters())]
    return [found for found in zip(texts, expected(texts), actual, strict=True) if found[1] != found[2]]


@pytest.mark.parametrize("form", LIKE_TRANSFORMERS)
def test_ids_and_types_are_those_of_transformers(form: str, tmp_path: Path) -> None:
    """Single texts and pairs."""
    folder = LIKE_TRANSFORMERS[form](tmp_path / "model")

    assert [] == differing(encoder(folder), by_transformers(folder))


@pytest.mark.parametrize("form", LIKE_SENTENCEPIECE)
def test_ids_from_a_bare_sentencepiece_file_are_those_of_sentencepiece(form: str, tmp_path: Path) -> None:
    """Between the added tokens, which are those of transformers."""
    folder = LIKE_SENTENCEPIECE[form](tmp_path / "model")

    assert [] == differing(encoder(folder), by_sentencepiece(folder))


@pytest.mark.skipif(not SHARED.exists(), reason="the published models' files are not here")
@pytest.mark.parametrize("name", REAL)
def test_published_files_give_the_published_ids(name: str, tmp_path: Path) -> None:
    """On the same texts."""
    folder = real(tmp_path / "model", name)

    assert [] == differing(encoder(folder), REAL[name](folder))


@pytest.mark.parametrize(
    "form", ["vocab.json, prefix space", "tokenizer.json, XLM-RoBERTa", "tokenizer.json, DeBERTa-v2"]
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_is_that_of_transformers(form: str, side: str, tmp_path: Path) -> None:
    """Of texts and pairs with added tokens in them, from either side."""
    folder = LIKE_TRANSFORMERS[form](tmp_path / "model")
    reference = AutoTokenizer.from_pretrained(folder, truncation_side=side)
    files = read_tokenizer(folder)
    ours = TextEncoder(files.tokenizer, 10**6, 10**6, side, files.token_types)  # type: ignore[arg-type]
    texts = [Text(one, other) for one in NASTY[:16] for other in (None, "not far<mask> [SEP] away")]

    for text in texts:
        for length in (5, 8, 12):
            expected = reference(text.text, text.pair, truncation=True, max_length=length)["input_ids"]
            actual = ours.encode([text], Parameters(truncation="longest_first", max_length=length))[0].ids.tolist()
            assert (text, length, expected) == (text, length, actual)


def test_a_sentencepiece_text_is_cut_after_its_tokens_are_known(tmp_path: Path) -> None:
    """As transformers cuts: the first tokens of the whole text, then the last special token."""
    ours = encoder(deberta(tmp_path / "model"))
    text = Text("one two [MASK] three four")
    whole = ours.encode([text], Parameters())[0].ids.tolist()

    for length in range(3, len(whole)):
        cut = ours.encode([text], Parameters(truncation="longest_first", max_length=length))[0].ids.tolist()
        assert [*whole[: length - 1], whole[-1]] == cut


def test_only_a_sentencepiece_file_loads_protobuf(tmp_path: Path) -> None:
    """And nothing loads the sentencepiece library."""
    program = (
        "import sys; from pathlib import Path; from labeld.tokenization.loader import read_tokenizer;"
        "read_tokenizer(Path(sys.argv[1])); print('sentencepiece' in sys.modules, 'google.protobuf' in sys.modules)"
    )
    for build, expected in ((word_piece, "False False"), (deberta, "False True")):
        command = [sys.executable, "-c", program, str(build(tmp_path / build.__name__))]
        assert expected == subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


SENTENCEPIECE_SWITCHES: list[dict[str, Any]] = [
    {"add_prefix_space": False},
    {"split_by_punct": True},
    {"do_lower_case": True},
    {"split_special_tokens": True},
    {"add_prefix_space": False, "split_by_punct": True, "do_lower_case": True},
]


@pytest.mark.parametrize("build", [XLM_ROBERTA, CAMEMBERT, deberta], ids=["XLM-RoBERTa", "CamemBERT", "DeBERTa-v2"])
@pytest.mark.parametrize("switches", SENTENCEPIECE_SWITCHES, ids=str)
def test_a_bare_sentencepiece_file_has_the_switches_of_its_class_and_no_others(
    build: Callable[..., Path], switches: dict[str, Any], tmp_path: Path
) -> None:
    """A switch of another class leaves the ids of sentencepiece; with one of its own they are those of transformers."""
    folder = build(tmp_path / "model", **switches)
    own = SENTENCEPIECE_SWITCHES if build is deberta else [{"add_prefix_space": False}, {"split_special_tokens": True}]
    reference = by_transformers if any(set(one) <= set(switches) for one in own) else by_sentencepiece

    assert [] == differing(encoder(folder), reference(folder))
