"""Model folders in every form that a tokenizer's files can have, and what each should make of a text."""

import io
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

from labeld.repository.folders import BUNDLED
from labeld.types import Text

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SHARED_FOLDER", ROOT.parent / "shared")) / "data"
"""Real tokenizer files and sentences in 20 languages, where they are."""

WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
"""From ASCII to its full-width forms."""

OWN_SYMBOL = "@".translate(WIDE)

NASTY = [
    "",
    " ",
    "  a  b  ",
    "a\nb\r\n\tc",
    "nul\0and bell\a",
    "emoji 👩‍👩‍👧 🏳️‍🌈 👍🏽 ☺️",
    "cafe\u0301 naïve ﬁ ½ ① Å Ωμέγα ς",
    unicodedata.normalize("NFD", "Tiếng Việt, 한국어, がガぱ, Ångström"),
    "e\u0302\u0323 \u0301alone ①\u0301 \uff21\u0338≠",
    "full width 123 <s> [CLS]".translate(WIDE) + " ｶﾞｷﾞ",
    "日本語と中文 and English",
    "ทดสอบภาษาไทย น้ำ",
    "हिन्दी में, مرحبا بالعالم",
    "a [SEP] b [MASK][CLS]",
    "a </s> b<mask> c <s>x<pad>  <unk> d",
    "spaces before  <mask> and after  [MASK]  and </s>  end",
    "before NEWTOKEN, afterNEWTOKEN  é-token",
    "▁ a▁b ▁",
    "▁",
    "<0x41> <0x0A>",
    "zero\u200bwidth\u200d\ufeff \u2028line\u3000wide\xa0hard",
    "it's o'clock, isn't it?! (yes...) #tag @user https://a.b/c?d=e&f",
    f"<ud> {OWN_SYMBOL} the them the",
    "x" * 5000,
    "日" * 3000,
]
"""Texts that tokenizers get wrong."""

Expected = Callable[[Sequence[Text]], list[tuple[list[int], list[int]]]]
"""Texts -> ids and token types of each."""


@cache
def sentences() -> list[str]:
    """Ten real sentences of each of 20 languages, or the English ones that are shipped."""
    if not SHARED.exists():
        return (ROOT / "benchmarks/lib/sentences.txt").read_text(encoding="utf-8").splitlines()
    by_language: dict[str, list[str]] = {}
    for line in (SHARED / "langid/sentences.tsv").read_text(encoding="utf-8").strip().split("\n")[1:]:
        language, _, text = line.partition("\t")
        by_language.setdefault(language, []).append(text)
    return list(chain.from_iterable(texts[:: len(texts) // 10][:10] for texts in by_language.values()))


@cache
def sentencepiece_model(**rules: Any) -> bytes:
    """A small Unigram model trained on `sentences`."""
    out = io.BytesIO()
    corpus = [*sentences(), *NASTY[4:14]]
    given = {"model_type": "unigram", "vocab_size": 1500, "character_coverage": 0.99, "num_threads": 1, **rules}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=out, hard_vocab_limit=False, minloglevel=2, **given
    )
    return out.getvalue()


DEBERTA_LAYOUT = {
    "pad_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "unk_id": 3,
    "pad_piece": "[PAD]",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
    "unk_piece": "[UNK]",
}


def write(folder: Path, **files: Any) -> Path:
    """Files by name (`_json` for .json, `_txt`, `_model`), as bytes, as JSON, or as the file to copy."""
    folder.mkdir(exist_ok=True)
    for key, content in files.items():
        stem, _, suffix = key.rpartition("_")
        path = folder / f"{stem.replace('bpe', '.bpe') if suffix == 'model' else stem}.{suffix}"
        if isinstance(content, Path):
            shutil.copy(content, path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def word_piece(folder: Path, model_type: str = "bert", **config: Any) -> Path:
    """BERT's own vocab.txt, of the bundled model."""
    vocabulary = BUNDLED / "labeld/sentiment-en/vocab.txt"
    return write(folder, vocab_txt=vocabulary, config_json={"model_type": model_type}, tokenizer_config_json=config)


@cache
def _byte_bpe() -> tuple[bytes, bytes]:
    """A small vocab.json in RoBERTa's layout, without a mask, and its merges.txt, trained on `sentences`."""
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    bpe.train_from_iterator(sentences(), vocab_size=1200, special_tokens=special, show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        bpe.save_model(folder)
        return (Path(folder) / "vocab.json").read_bytes(), (Path(folder) / "merges.txt").read_bytes()


def byte_bpe(folder: Path, model_type: str = "roberta", **config: Any) -> Path:
    """vocab.json and merges.txt in RoBERTa's layout, which is BART's too, and its special_tokens_map.json."""
    words, merges = _byte_bpe()
    vocabulary = json.loads(words)
    vocabulary["<mask>"] = len(vocabulary)
    mask = {"content": "<mask>", "single_word": False, "lstrip": True, "rstrip": False, "normalized": False}
    return write(
        folder,
        vocab_json=vocabulary,
        merges_txt=merges,
        config_json={"model_type": model_type},
        special_tokens_map_json={"bos_token": "<s>", "mask_token": mask},
        tokenizer_config_json=config,
    )


def fairseq(folder: Path, model_type: str, **config: Any) -> Path:
    """sentencepiece.bpe.model of XLM-RoBERTa or CamemBERT."""
    return write(
        folder,
        sentencepiecebpe_model=sentencepiece_model(),
        config_json={"model_type": model_type},
        tokenizer_config_json=config,
    )


def deberta(folder: Path, rules: dict[str, Any] | None = None, **config: Any) -> Path:
    """spm.model of DeBERTa-v2."""
    message = sentencepiece_model_pb2.ModelProto.FromString(
        sentencepiece_model(**DEBERTA_LAYOUT, **(rules or {"byte_fallback": True}))
    )
    for piece in message.pieces:
        if piece.type != piece.NORMAL:
            piece.score = -50.0  # the score of what no text has means nothing
    return write(
        folder,
        spm_model=message.SerializeToString(),
        config_json={"model_type": "deberta-v2"},
        tokenizer_config_json=config,
    )


def albert(folder: Path, **config: Any) -> Path:
    """spiece.model of ALBERT, one of the classes whose tokenizer.json is taken as it is."""
    layout = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "pad_piece": "<pad>"}
    return write(
        folder,
        spiece_model=sentencepiece_model(**layout, control_symbols="[CLS],[SEP],[MASK]"),
        config_json={"model_type": "albert"},
        tokenizer_config_json={"tokenizer_class": "AlbertTokenizer", **config},
    )


def albert_of_version_4(folder: Path) -> Path:
    """tokenizer.json as transformers 4 writes it (AlbertConverter in its convert_slow_tokenizer.py)."""
    content = json.loads((saved(albert, folder) / "tokenizer.json").read_text())
    content["normalizer"]["normalizers"].append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    content["pre_tokenizer"]["pretokenizers"] = [{"type": "WhitespaceSplit"}, metaspace]
    del content["model"]["byte_fallback"]
    return write(folder, tokenizer_json=content)


def real(folder: Path, name: str) -> Path:
    """A published model's own config and tokenizer files, where they are."""
    shutil.copytree(SHARED / "checkpoints" / name, folder)
    return folder


def saved(build: Callable[[Path], Path], folder: Path, **config: Any) -> Path:
    """A folder as transformers saves it: tokenizer.json and tokenizer_config.json, the latter with changes."""
    source = build(folder.with_name(f"{folder.name}-source"))
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    written = json.loads((folder / "tokenizer_config.json").read_text())
    return write(folder, tokenizer_config_json=written | config, config_json=source / "config.json")


_CONFIGS: dict[bytes, PreTrainedConfig] = {}


def _config(folder: Path) -> PreTrainedConfig:
    """What AutoConfig makes of the folder's config.json; most folders have the same."""
    content = (folder / "config.json").read_bytes()
    if content not in _CONFIGS:
        _CONFIGS[content] = AutoConfig.from_pretrained(folder)
    return _CONFIGS[content]


def by_transformers(folder: Path) -> Expected:
    """Ids and types of AutoTokenizer; token types are 0 where it gives none to the model."""
    tokenizer = AutoTokenizer.from_pretrained(folder, config=_config(folder), model_max_length=None)

    def batch(texts: list[str], pairs: list[str] | None = None) -> Iterator[tuple[list[int], list[int]]]:
        encoded = tokenizer(texts, pairs)
        ids = encoded["input_ids"]
        return zip(ids, encoded.get("token_type_ids", [[0] * len(one) for one in ids]), strict=True)

    def expected(texts: Sequence[Text]) -> list[tuple[list[int], list[int]]]:
        single, paired = [one for one in texts if one.pair is None], [one for one in texts if one.pair is not None]
        found = dict(zip(single, batch([one.text for one in single]), strict=True)) if single else {}
        if paired:
            of_pairs = batch([one.text for one in paired], [one.pair for one in paired if one.pair is not None])
            found |= dict(zip(paired, of_pairs, strict=True))
        return [found[one] for one in texts]

    return expected


def by_sentencepiece(folder: Path) -> Expected:
    """Ids and types of the sentencepiece library, for the parts of a text between transformers' added tokens."""
    (path,) = folder.glob("*.model")
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    model_type = json.loads((folder / "config.json").read_text())["model_type"]
    offset = {"xlm-roberta": 1, "camembert": 4, "deberta-v2": 0}[model_type]
    own = {model.id_to_piece(id_) for id_ in range(len(model)) if not model.is_control(id_)} - {"<unk>", "[UNK]"}
    added = {
        text: id_ for text, id_ in AutoTokenizer.from_pretrained(folder).get_added_vocab().items() if text not in own
    }
    cuts = re.compile(f"({'|'.join(map(re.escape, sorted(added, key=len, reverse=True)))})")
    unknown = 3 if offset else model.unk_id()

    def ids(text: str) -> list[int]:
        found: list[int] = []
        for part in cuts.split(text):
            pieces = [unknown if id_ == model.unk_id() else id_ + offset for id_ in model.encode(part)]
            found += [added[part]] if part in added else pieces
        return found

    def of_text(text: str, pair: str | None) -> tuple[list[int], list[int]]:
        first, last = (added["<s>"], added["</s>"]) if offset else (added["[CLS]"], added["[SEP]"])
        one = [first, *ids(text), last]
        if pair is None:
            return one, [0] * len(one)
        other = [*([last] if offset else []), *ids(pair), last]
        return one + other, [0] * len(one) + [0 if offset else 1] * len(other)

    return lambda texts: [of_text(*text) for text in texts]
