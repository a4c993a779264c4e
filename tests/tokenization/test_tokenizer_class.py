"""Every tokenizer class that transformers has: which one a folder is of, and what ids it gives."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import AutoTokenizer, TokenizersBackend
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from labeld.errors import FolderError
from labeld.tokenization.encoder import TextEncoder
from labeld.tokenization.loader import read_tokenizer
from labeld.tokenization.recipes import RECIPES
from labeld.tokenization.tokenizer_class import (
    AS_IT_IS,
    BUILT_ANEW,
    BUILT_WITHOUT_FILE,
    BY_MODEL_TYPE,
    NOT_SUPPORTED,
    tokenizer_class,
)
from labeld.types import Parameters, Text
from tests.support.tokenizer_classes import (
    PARTS,
    SWITCHES,
    TEXTS,
    TRUNCATION,
    WITH_ALL_PARTS,
    bare_folder_of,
    folder_of,
)
from tests.support.tokenizer_folders import by_transformers, write

BACKENDS = ("TokenizersBackend", "PythonBackend")


def names_of_transformers() -> list[str]:
    """Every name that a tokenizer_config.json may have for a tokenizer class."""
    public = [name for name in dir(transformers) if name.endswith(("Tokenizer", "TokenizerFast"))]
    public = [name for name in public if PreTrainedTokenizerBase in getattr(getattr(transformers, name), "__mro__", ())]
    return sorted({*public, *filter(None, TOKENIZER_MAPPING_NAMES.values()), "NoSuchTokenizer"} - {"AutoTokenizer"})


def test_every_class_of_transformers_is_known_by_its_name() -> None:
    """As itself, as another name of one, as one that is not supported, or as one that takes the file as it is."""
    for name in names_of_transformers():
        found = tokenizer_class_from_name(name)
        own = AS_IT_IS if found is None or found.__name__ in BACKENDS else found.__name__
        try:
            assert (name, own) == (name, tokenizer_class({}, {"tokenizer_class": name}))
        except FolderError:
            assert own.removesuffix("Fast") in NOT_SUPPORTED


def test_every_model_type_with_a_text_classifier_has_its_class() -> None:
    """None is forgotten, and no class is another one."""
    expected = {
        model_type: TOKENIZER_MAPPING_NAMES[model_type]
        for model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
        if model_type in TOKENIZER_MAPPING_NAMES
    }
    assert expected == {model_type: BY_MODEL_TYPE.get(model_type) for model_type in expected}


DECLARED = [
    None,
    "BertTokenizer",
    "RobertaTokenizerFast",
    "PreTrainedTokenizerFast",
    "NoSuchTokenizer",
    "GPT2Tokenizer",
]
DECLARED += ["LlamaTokenizer", "LlamaTokenizerFast", "Qwen2Tokenizer", "ElectraTokenizer", "XLMRobertaTokenizer"]
CONFIGS: list[dict[str, Any]] = [
    {},
    {"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}},
    {"auto_map": {"AutoModel": "own.OwnModel"}},
]
MODEL_TYPES = [
    "bert",
    "roberta",
    "bart",
    "modernbert",
    "qwen2",
    "llama",
    "mistral",
    "phi",
    "phi3",
    "gpt2",
    "t5",
    "olmo",
    "bloom",
]


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("byte_level", [False, True])
def test_the_class_is_the_one_that_transformers_takes(
    model_type: str, byte_level: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what both config files declare, with and without code of its own, and for Llama by what the file speaks of."""
    monkeypatch.setattr(PreTrainedTokenizerBase, "from_pretrained", classmethod(lambda cls, *_, **__: cls))
    written = {"pre_tokenizer": {"type": "ByteLevel"}} if byte_level else {}
    for declared in DECLARED:
        for extra in CONFIGS:
            for place in ("config_json", "tokenizer_config_json"):
                files: dict[str, dict[str, Any]] = {
                    "config_json": {"model_type": model_type},
                    "tokenizer_config_json": dict(extra),
                }
                files[place]["tokenizer_class"] = declared
                write(tmp_path, tokenizer_json=written, **files)
                try:
                    expected = AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=False).__name__
                except Exception:  # noqa: BLE001  # transformers itself stumbles over an unknown name in config.json
                    continue
                actual = tokenizer_class(files["config_json"], files["tokenizer_config_json"], lambda: byte_level)
                assert (files, expected) == (files, actual)


CLASSES = [*sorted(BUILT_ANEW | BUILT_WITHOUT_FILE), AS_IT_IS]


def kind_of(name: str) -> str:
    """The model of a class."""
    cls = getattr(transformers, name)
    return "BPE" if cls is TokenizersBackend else getattr(cls.model, "__name__", "Unigram")


def agrees(folder: Path, where: tuple[str, ...]) -> bool:
    """Compares ids and types of hostile texts and pairs with those of transformers; false where it has none."""
    try:
        expected = by_transformers(folder)
        expected([Text("hello")])
    except Exception:  # noqa: BLE001  # a class that these switches break
        return False
    files = read_tokenizer(folder)
    ours = TextEncoder(files.tokenizer, 10**6, 10**6, files.truncation_side, files.token_types)
    # what a pair has of its own stands between its texts and around them, and not in them: some pairs show it
    texts = [*(Text(text, None) for text in TEXTS), *(Text(text, "the <mask> [SEP] world") for text in TEXTS[::5])]
    with_ids = [(text, one) for text, one in zip(texts, expected(texts), strict=True) if one[0]]
    encoded = ours.encode([text for text, _ in with_ids], Parameters())
    found = [
        (text, (one.ids.tolist(), one.type_ids.tolist())) for (text, _), one in zip(with_ids, encoded, strict=True)
    ]
    assert (where, with_ids) == (where, found)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_ids_and_types_are_those_of_transformers_whatever_the_switches_say(name: str, tmp_path: Path) -> None:
    """For files whose normalizer, pre-tokenizer and post-processor are those of no class."""
    compared = 0
    for number, (switch, config) in enumerate(SWITCHES.items()):
        for part, parts in PARTS.items() if switch in WITH_ALL_PARTS else [("plain", {})]:
            settings = {"tokenizer_class": name, **config}
            folder = folder_of(tmp_path / f"{number}{part}", kind_of(name), settings, parts)
            compared += agrees(folder, (switch, part))
    assert compared > len(SWITCHES) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLASSES if name in RECIPES and RECIPES[name].files != "none"])
def test_bare_files_give_the_ids_of_transformers_whatever_the_switches_say(name: str, tmp_path: Path) -> None:
    """vocab.txt, or vocab.json and merges.txt."""
    compared = 0
    for number, (switch, config) in enumerate(SWITCHES.items()):
        folder = bare_folder_of(tmp_path / str(number), kind_of(name), {"tokenizer_class": name, **config})
        compared += agrees(folder, (switch, "bare"))
    assert compared > len(SWITCHES) / 2


@pytest.mark.parametrize("name", ["BertTokenizer", "GPT2Tokenizer", "T5Tokenizer", "ConvBertTokenizer", AS_IT_IS])
@pytest.mark.parametrize("config", [{}, {"truncation_side": "right"}, {"truncation_side": "left"}], ids=str)
@pytest.mark.parametrize("parts", [{}, {"truncation": TRUNCATION}], ids=["no block", "block"])
def test_the_side_that_is_cut_is_the_one_of_the_config_else_of_the_file(
    name: str, config: dict[str, Any], parts: dict[str, Any], tmp_path: Path
) -> None:
    """The block's length, stride and strategy do not count."""
    folder = folder_of(tmp_path / "model", kind_of(name), {"tokenizer_class": name, **config}, parts)
    reference = AutoTokenizer.from_pretrained(folder)
    files = read_tokenizer(folder)
    ours = TextEncoder(files.tokenizer, 10**6, 10**6, files.truncation_side, files.token_types)

    assert files.max_length is None
    assert reference.truncation_side == files.truncation_side
    for text, pair in (("hello world 1 2 3 4 5 6 7 8 9", None), ("hello world", "not the lower world 1 2 3")):
        expected = reference(text, pair, truncation=True, max_length=6)["input_ids"]
        assert (
            expected
            == ours.encode([Text(text, pair)], Parameters(truncation="longest_first", max_length=6))[0].ids.tolist()
        )


def test_a_side_that_is_none_is_refused(tmp_path: Path) -> None:
    """As transformers does."""
    folder = folder_of(tmp_path / "model", "WordPiece", {"truncation_side": "both"}, {})

    with pytest.raises(FolderError, match="truncation_side is 'both', but must be left or right"):
        read_tokenizer(folder)


@pytest.mark.parametrize("name", ["RobertaTokenizer", "GPT2Tokenizer"])
def test_ids_may_have_gaps_and_one_may_have_two_tokens(name: str, tmp_path: Path) -> None:
    """In vocab.json as in tokenizer.json, and as in transformers."""
    folder = bare_folder_of(tmp_path / "model", "BPE", {"tokenizer_class": name})
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary |= {"q": 9000, "w": vocabulary["e"]}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))

    assert agrees(folder, (name,))


@pytest.mark.parametrize("count", [-1, "many", 10**9])
def test_extra_ids_that_no_memory_holds_are_refused(count: object, tmp_path: Path) -> None:
    """A few hundred bytes of a config would make gigabytes of tokens."""
    folder = folder_of(tmp_path / "model", "Unigram", {"tokenizer_class": "T5Tokenizer", "extra_ids": count}, {})

    with pytest.raises(FolderError, match=r"extra_ids is .*, but must be 0 to 10000"):
        read_tokenizer(folder)
